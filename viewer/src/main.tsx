/** The script of a page: shows the data that stands in it. The viewer can also be mounted by hand. */

import { render } from "preact";
import { DataError } from "./data/decode";
import { inflate } from "./data/inflate";
import { TraceView } from "./view/TraceView";
import "./view/styles/index.css";

/** Shows a document in an element; calling it again with newer data keeps what is open. */
export function mount(element: Element, data: unknown, address = false): void {
  render(<TraceView data={data} address={address} />, element);
}

async function start(holder: Element): Promise<void> {
  const root = document.getElementById("viewer") ?? document.body;
  try {
    mount(root, await inflate(holder.textContent ?? ""), true);
    root.removeAttribute("aria-busy");
  } catch (error) {
    const why =
      error instanceof DataError ? error.message : `the file is damaged (${String(error)})`;
    render(<p role="alert">The traces cannot be shown: {why}.</p>, root);
  }
}

const holder = document.getElementById("data");
if (holder) void start(holder);
