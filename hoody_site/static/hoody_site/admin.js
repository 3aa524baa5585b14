/* What Django's admin leaves out for people who listen to a page: the name of an icon needs a role to belong to. */

addEventListener("load", () => {
    // Made by the admin's own script when the page has loaded, which was asked for before this one.
    for (const icon of document.querySelectorAll(".help-tooltip[aria-label]")) icon.setAttribute("role", "img");
});
