/* A box that stays at its end while lines are appended, unless one has scrolled away from there. */

const TOLERANCE_PIXELS = 2;
const NEAR_TOP_PIXELS = 40;

export class Scroll {
    constructor(box) {
        this.box = box;
        this.isFollowing = true;
        this.lastTop = 0;
        this.onChange = () => {};
        this.onTop = () => {};
        box.addEventListener("scroll", () => this.scrolled());
    }

    scrolled() {
        const { scrollTop } = this.box;
        const wasFollowing = this.isFollowing;
        const isUp = scrollTop < this.lastTop;
        if (this.isAtEnd()) this.isFollowing = true;
        else if (isUp) this.isFollowing = false;
        this.lastTop = scrollTop;
        if (this.isFollowing !== wasFollowing) this.onChange();
        if (isUp && scrollTop < NEAR_TOP_PIXELS) this.onTop();
    }

    isAtEnd() {
        const { scrollTop, scrollHeight, clientHeight } = this.box;
        return scrollHeight - clientHeight - scrollTop <= TOLERANCE_PIXELS;
    }

    /* Go to the end if it is to be followed; what was appended may get its real height a moment later. */
    settle() {
        if (!this.isFollowing) return;
        this.box.scrollTop = this.box.scrollHeight;
        this.lastTop = this.box.scrollTop;
    }

    toEnd() {
        this.isFollowing = true;
        this.settle();
        requestAnimationFrame(() => this.settle());
        this.onChange();
    }

    /* Show an element in the middle. */
    to(element) {
        this.isFollowing = false;
        // Twice: what is between gets its real height only when it is near.
        for (let turn = 0; turn < 2; turn += 1) {
            const distance = element.getBoundingClientRect().top - this.box.getBoundingClientRect().top;
            this.box.scrollTop += distance - this.box.clientHeight / 2;
        }
        this.lastTop = this.box.scrollTop;
        this.onChange();
    }

    /* Change the list so that an element stays where it is. */
    keeping(element, change) {
        const before = element?.getBoundingClientRect().top;
        change();
        if (element) this.box.scrollTop += element.getBoundingClientRect().top - before;
        this.lastTop = this.box.scrollTop;
    }
}
