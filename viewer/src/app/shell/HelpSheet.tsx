/** Keys of the application and of an open trace, and the words of a search. */

import { useEffect, useRef } from "preact/hooks";
import { HelpContents } from "../../view/Help";
import { useApp } from "../context";
import { HELP } from "./keys";

export function HelpSheet() {
  const app = useApp();
  const dialog = useRef<HTMLDialogElement>(null);
  const isOpen = app.helpOpen.value;
  useEffect(() => {
    if (isOpen && !dialog.current?.open) dialog.current?.showModal?.();
    if (!isOpen && dialog.current?.open) dialog.current.close();
  }, [isOpen]);
  const close = () => {
    app.helpOpen.value = false;
  };
  return (
    <dialog ref={dialog} class="help" aria-label="Keys and search words" onClose={close}>
      <button type="button" class="close" aria-label="Close" onClick={close}>
        ✕
      </button>
      {isOpen && (
        <>
          <h2>Everywhere, and in lists</h2>
          <dl class="key-list">
            {HELP.map(([keys, help]) => (
              <div key={help}>
                <dt>
                  {keys
                    .split(" ")
                    .map((key) =>
                      /^(or|then)$/.test(key) ? ` ${key} ` : <kbd key={key}>{key}</kbd>,
                    )}
                </dt>
                <dd>{help}</dd>
              </div>
            ))}
          </dl>
          <HelpContents title="In an open trace" isInApp />
        </>
      )}
    </dialog>
  );
}
