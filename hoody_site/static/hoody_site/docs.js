/* Swagger UI has a dark mode, which it leaves to the page to switch on. Not a module: it runs before the page shows. */
{
    const dark = matchMedia("(prefers-color-scheme: dark)");
    const show = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
    dark.addEventListener("change", show);
    show();
}
