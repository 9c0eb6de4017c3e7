/** Files of records that are dropped on the page, or chosen: where they go, how far they are. */

import { useLayoutEffect, useRef } from "preact/hooks";
import { bytes, countOf, visible } from "../../model/format";
import { useApp } from "../context";
import { addressOfRoute } from "../route";
import type { Added, Adding, Progress } from "./model";

/** What takes files, wherever on the page they are dropped. */
export function AddingFiles() {
  const { adding } = useApp();
  const field = useRef<HTMLInputElement>(null);
  useLayoutEffect(() => {
    adding.choose = () => field.current?.click();
    return takeDrops(adding);
  }, [adding]);
  return (
    <>
      <input
        ref={field}
        type="file"
        multiple
        hidden
        aria-label="Files of records"
        onChange={({ currentTarget }) => {
          void adding.add([...(currentTarget.files ?? [])]);
          currentTarget.value = ""; // so that the same file can be chosen again
        }}
      />
      {adding.isOver.value && <Overlay />}
      <Outcome />
    </>
  );
}

/** Opens the dialog of files. */
export function AddButton() {
  const { adding } = useApp();
  return (
    <button
      type="button"
      title="Add files of records to what this server keeps; or drop them on the page (+)"
      onClick={() => adding.choose()}
    >
      Add files …
    </button>
  );
}

/** Only seen by who holds files over the page with a pointer. */
function Overlay() {
  const folder = useApp().info.value?.folder;
  return (
    <div class="drop-here" aria-hidden="true">
      <div>
        <strong>Drop files of records (*.jsonl)</strong>
        <p>
          Adds them to what this server keeps
          {folder && (
            <>
              , in <code>{visible(folder)}/received</code>
            </>
          )}
          .
        </p>
      </div>
    </div>
  );
}

function Outcome() {
  const { adding } = useApp();
  const files = adding.files.value;
  const progress = adding.progress.value;
  if (files.length === 0 && !progress) return null;
  return (
    <section class="added" aria-label="Added files">
      {!progress && (
        <button type="button" class="close" aria-label="Close" onClick={() => adding.close()}>
          ✕
        </button>
      )}
      <div role="status">
        {files.map((file, at) => (
          <File key={at} file={file} />
        ))}
      </div>
      {progress && <Sending progress={progress} onStop={() => adding.stop()} />}
      {!progress && files.some(({ accepted }) => accepted > 0) && (
        <p>
          <a class="link" href={addressOfRoute({ page: "traces", id: "", query: {} })}>
            Show all traces
          </a>
        </p>
      )}
    </section>
  );
}

function Sending({ progress, onStop }: { progress: Progress; onStop: () => void }) {
  const { name, sent, size, isWaiting } = progress;
  return (
    <p class="sending">
      <b>{visible(name)}</b>
      <progress max={size} value={sent} aria-label={`Sending ${visible(name)}`} />
      <span>
        {bytes(sent)} of {bytes(size)}
        {isWaiting && "; the server is busy, trying again"}
      </span>
      <button type="button" onClick={onStop}>
        Stop
      </button>
    </p>
  );
}

function File({ file: { name, accepted, refused, reasons, problem } }: { file: Added }) {
  const counts = [
    (accepted > 0 || !problem) && `${countOf(accepted, "record")} accepted`,
    refused > 0 && `${countOf(refused, "line")} refused`,
  ].filter(Boolean);
  return (
    <>
      <p>
        <b>{visible(name)}</b>
        {problem && (
          <>
            {" "}
            <span class="wrong">{visible(problem.message)}</span>
          </>
        )}
        {counts.length > 0 && `${problem ? "; " : ": "}${counts.join(", ")}`}
      </p>
      {reasons.map((reason) => (
        <p key={reason} class={accepted > 0 ? "wrong" : "dim"}>
          {visible(reason)}
        </p>
      ))}
      {problem?.hint && <p>{visible(problem.hint)}</p>}
    </>
  );
}

/** Takes files that are dropped anywhere; returns what ends that. */
function takeDrops(adding: Adding): () => void {
  const over = (event: DragEvent) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    // Otherwise the browser would open the file instead of the page.
    event.preventDefault();
    event.dataTransfer.dropEffect = "copy";
    adding.isOver.value = true;
  };
  const leave = (event: DragEvent) => {
    if (!event.relatedTarget) adding.isOver.value = false;
  };
  const drop = (event: DragEvent) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    adding.isOver.value = false;
    void adding.add([...event.dataTransfer.files]);
  };
  const listeners = { dragenter: over, dragover: over, dragleave: leave, drop };
  for (const [name, listener] of Object.entries(listeners))
    window.addEventListener(name, listener as EventListener);
  return () => {
    for (const [name, listener] of Object.entries(listeners))
      window.removeEventListener(name, listener as EventListener);
  };
}
