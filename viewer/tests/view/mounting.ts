/** Mounts the viewer in a test's page. */

import { h, render } from "preact";
import { TraceView } from "../../src/view/TraceView";

export function mounted(data: unknown): HTMLElement {
  for (const old of [...document.body.children]) {
    render(null, old);
    old.remove();
  }
  const root = document.createElement("div");
  document.body.append(root);
  render(h(TraceView, { data }), root);
  return root;
}

export function rerendered(root: HTMLElement, data: unknown): void {
  render(h(TraceView, { data }), root);
}

/** Waits until effects and delayed work are done. */
export function settled(milliseconds = 30): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

export async function press(...keys: string[]): Promise<void> {
  for (const key of keys) {
    document.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
    await settled(5);
  }
  await settled();
}

export function names(root: HTMLElement): string[] {
  return [...root.querySelectorAll('[role="row"] .name')].map((name) => name.textContent ?? "");
}

export function selectedName(root: HTMLElement): string {
  return root.querySelector('[role="row"][aria-selected="true"] .name')?.textContent ?? "";
}

/** Waits until something holds; fails after some seconds, which a busy machine may need. */
export async function eventually(holds: () => unknown): Promise<void> {
  for (let tried = 0; tried < 200; tried++) {
    if (holds()) return;
    await settled(25);
  }
  throw new Error(`it did not come true: ${holds}`);
}
