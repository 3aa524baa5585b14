/* Values that look secret by their name are shown as dots, until one asks for them. */
import { button } from "./elements.js";

/* Hide what is typed into an element while the name in a control has one of some words. */
export function hideSecret(words, name, element) {
    let isShown = false;
    const toggle = button("show", () => { isShown = !isShown; update(); }, { class: "button rows-show" });
    element.append(toggle);
    name.addEventListener("input", update);
    update();

    function update() {
        const isSecret = words.some((word) => name.value.toUpperCase().includes(word));
        element.classList.toggle("is-secret", isSecret && !isShown);
        toggle.hidden = !isSecret;
        toggle.textContent = isShown ? "hide" : "show";
        toggle.setAttribute("aria-label", `${isShown ? "Hide" : "Show"} the value of ${name.value}`);
    }
}
