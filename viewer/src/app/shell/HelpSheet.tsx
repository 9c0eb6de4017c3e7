/** Keys of the application and of an open trace, and the words of a search. */

import { HelpContents, HelpDialog } from "../../view/Help";
import { useApp } from "../context";
import { HELP } from "./keys";

export function HelpSheet() {
  const app = useApp();
  return (
    <HelpDialog isOpen={app.helpOpen}>
      {app.helpOpen.value && (
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
    </HelpDialog>
  );
}
