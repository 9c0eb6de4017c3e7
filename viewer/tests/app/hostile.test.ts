/** Whatever a server's answers hold, every page shows it as text. */

import { expect, test } from "vitest";
import { TEXTS } from "../../demo/hostile";
import { answerOf, NOW, summaryOf, TRACE } from "../live/answers";
import { eventually } from "../view/mounting";
import { mountApp, rowTexts, usualServer } from "./mountApp";
import { processOf, runningOf, spanOf } from "./running";

const id = (number: number) => number.toString(16).padStart(32, "0");

function hostileServer() {
  const server = usualServer();
  const { routes } = server;
  routes.set("running", () =>
    runningOf(
      TEXTS.map((text, at) =>
        spanOf(`s${at}`, { name: text, service: text, where: text, opened_at: text, process: "p" }),
      ),
      [processOf("p", { label: TEXTS[0], command: TEXTS[1], host: TEXTS[3] })],
    ),
  );
  routes.set("traces", () => ({
    traces: TEXTS.map((text, at) =>
      summaryOf(id(at), { name: text, service: text, services: TEXTS.slice(0, 8) }),
    ),
    next: null,
    searched_until_ns: null,
    sequence: 5,
    now_ns: NOW,
  }));
  routes.set(`traces/${TRACE}`, () =>
    answerOf(
      TEXTS.map((text, at) => ({
        id: `s${at}`,
        name: text,
        error: text,
        where: text,
        file: text,
        line: 3,
        thread: text,
        task: text,
        end: at % 2 ? null : 10,
      })),
    ),
  );
  routes.set("logs", () => ({
    logs: TEXTS.map((text, at) => ({
      id: String(at),
      time_ns: NOW,
      level: text.slice(0, 50),
      text,
      attributes: { [text]: text },
      trace_id: text,
      span_id: text,
      service: text,
      process: text,
      kind: "log",
    })),
    next: null,
  }));
  routes.set("operations", () => ({
    from_ns: NOW,
    to_ns: NOW,
    operations: TEXTS.map((text) => ({
      service: text,
      name: text,
      kind: "internal",
      count: 1,
      errors: 1,
      open: 0,
      p50_ns: 1,
      p95_ns: 1e308,
      p99_ns: null,
      max_ns: -5,
      total_ns: 1,
      last: text,
      buckets: [[1e308, 3]],
    })),
  }));
  routes.set("errors", () => ({
    errors: TEXTS.map((text) => ({
      type: text,
      text,
      service: text,
      name: text,
      place: text,
      count: 1,
      first_ns: NOW,
      last_ns: "999999999999999999999999999999",
      trace_id: TRACE,
      span_id: text,
    })),
  }));
  return server;
}

test.each(["now", "traces", "operations", "errors", "logs", `trace/${TRACE}`])(
  "%s",
  async (page) => {
    const { root, app } = await mountApp(`#/${page}`, hostileServer());
    await eventually(
      () => rowTexts(root).length > 2 || root.querySelectorAll(".error-group").length > 2,
    );
    expect(root.querySelectorAll("img, script, iframe, style, object, base").length).toBe(0);
    expect((window as { broken?: number }).broken).toBeUndefined();
    for (const link of root.querySelectorAll("a")) {
      expect(link.getAttribute("href")).toMatch(/^(#\/|vscode:\/\/file\/home\/me\/app\/)/);
    }
    for (const hidden of ["\u202e", "\u2066", "\u200b", "\u0000", "\u001b"])
      expect(root.textContent).not.toContain(hidden);
    app.stream.close();
  },
);
