/** The keys and the words of a search. */

import type { Signal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import type { View } from "../model/view";
import { KEYS } from "./keys";

const SEARCHES: [string, string][] = [
  ["charge", "text in names, errors, attributes and logs"],
  ["error  running", "spans of this state"],
  [">500ms  self:>10ms", "how long they took, or their own part"],
  ["service:shop name:GET*", "fields; a star for any end"],
  ["http.route=/checkout", "an attribute, as it stands"],
  ["status:500..599 has:user.id", "ranges; whatever the value"],
  ["name:/^(GET|POST)/", "a regular expression"],
  ["not error  -charge  (a or b)", "combinations; blanks mean and"],
  ["under:(charge) has-child:(error)", "by the spans above and below"],
  ["is:critical  is:leaf  is:orphan", "by the place in the tree"],
];

export function Help({ view }: { view: View }) {
  return (
    <HelpDialog isOpen={view.helpOpen}>
      <HelpContents title="Keys" />
    </HelpDialog>
  );
}

/** A sheet over the page, which a signal opens and closes. */
export function HelpDialog({ isOpen, children }: DialogProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const shown = isOpen.value;
  useEffect(() => {
    if (shown && !dialog.current?.open) dialog.current?.showModal?.();
    if (!shown && dialog.current?.open) dialog.current.close();
  }, [shown]);
  const close = () => {
    isOpen.value = false;
  };
  return (
    <dialog ref={dialog} class="help" aria-label="Keys and search words" onClose={close}>
      <button type="button" class="close" aria-label="Close" onClick={close}>
        ✕
      </button>
      {children}
    </dialog>
  );
}

interface DialogProps {
  isOpen: Signal<boolean>;
  children: ComponentChildren;
}

/** Keys that the application around an open trace has for itself. */
const OF_APP: ReadonlySet<string> = new Set(["?", "t", "J", "K", "/", "Escape", "."]);

/** The keys of an open trace, and the words of a search. */
export function HelpContents({ title, isInApp = false }: { title: string; isInApp?: boolean }) {
  return (
    <>
      <h2>{title}</h2>
      <dl class="key-list">
        {KEYS.filter(({ keys }) => !isInApp || !OF_APP.has(keys[0] ?? "")).map(({ keys, help }) => (
          <div key={help}>
            <dt>
              {keys.map((key) => (
                <kbd key={key}>{key.replace("Arrow", "")}</kbd>
              ))}
            </dt>
            <dd>{help}</dd>
          </div>
        ))}
        <div>
          <dt>
            <kbd>1</kbd>–<kbd>9</kbd>
          </dt>
          <dd>fold to this depth</dd>
        </div>
        {!isInApp && (
          <div>
            <dt>
              <kbd>g</kbd> <kbd>t</kbd>
            </dt>
            <dd>go to traces; w f a l e: waterfall, flame, table, logs, errors</dd>
          </div>
        )}
      </dl>
      <h2>Search</h2>
      <dl class="search-list">
        {SEARCHES.map(([search, help]) => (
          <div key={search}>
            <dt>
              <code>{search}</code>
            </dt>
            <dd>{help}</dd>
          </div>
        ))}
      </dl>
      <h2>Pointer</h2>
      <p>
        Ctrl and wheel zooms, Shift and wheel moves in time. Drag over the overview or the ruler to
        zoom, double click on a bar to fit it, <kbd>Esc</kbd> goes back.
      </p>
    </>
  );
}
