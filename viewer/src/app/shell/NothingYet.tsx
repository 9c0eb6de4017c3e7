/** What is shown before the first span: what to run, and where the server listens. */

import { shellQuoted } from "../../model/format";
import { AddButton } from "../adding/AddingFiles";
import { useApp } from "../context";

export function NothingYet({ title }: { title: string }) {
  const app = useApp();
  const info = app.info.value;
  const folder = info?.folder && info.folder !== "traces" ? info.folder : "";
  const command = `otel-ext run ${folder && `--output ${shellQuoted(folder)} `}-- python app.py`;
  const { otlp_http, otlp_grpc } = info?.listening ?? {};
  return (
    <div class="empty">
      <h2>{title}</h2>
      <p>Run a program, and its spans appear here while they run:</p>
      <p>
        <button
          type="button"
          class="command mono"
          title="Copy"
          onClick={() => {
            navigator.clipboard?.writeText(command).then(
              () => {
                app.said.value = "Copied the command.";
              },
              () => {
                app.said.value = "The browser does not allow copying here.";
              },
            );
          }}
        >
          {command} <small class="dim">copy</small>
        </button>
      </p>
      <p>
        Or drop files of records here, or choose them: <AddButton />
      </p>
      {(otlp_http || otlp_grpc) && (
        <p class="dim">
          Programs in any language can send here:{" "}
          {[otlp_http && `OTLP/HTTP to ${otlp_http}`, otlp_grpc && `OTLP/gRPC to ${otlp_grpc}`]
            .filter(Boolean)
            .join(", ")}
          .
        </p>
      )}
    </div>
  );
}
