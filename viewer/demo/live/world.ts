/** Programs that run: requests with steps, errors, a job that stalls, and a worker that is killed. */

import type { Attributes } from "../../src/data/contract";
import { TEXTS } from "../hostile";
import type { Store, StoredSpan } from "./store";

const ms = (milliseconds: number) => milliseconds * 1e6;
const ROUTES = ["POST /checkout", "GET /cart", "GET /products", "POST /login", "GET /health"];

export class World {
  private seed = 11;

  constructor(private readonly store: Store) {
    const process = (id: string, service: string, pid: number, label: string) =>
      store.processes.set(id, { id, label, service, pid, condition: "alive", lastSeen: 0 });
    process("shop-1", "shop", 4711, "4711 shop.py");
    process("bank-1", "bank", 4712, "4712 bank.py");
    process("mail-1", "mail", 4713, "4713 worker.py");
    process("import-1", "import", 4714, "4714 nightly.py");
  }

  /** Fills the store with what happened before. */
  past(count: number): void {
    for (let at = count; at > 0; at--) {
      const start = -ms(at * 3_000 + this.random() * 2_000);
      this.request(start, true);
    }
  }

  /** Starts what goes on for ever. */
  start(): void {
    this.longJob();
    this.worker();
    const request = () => {
      this.request(this.store.now(), false);
      setTimeout(request, 400 + this.random() * 2_000);
    };
    request();
    setInterval(() => {
      for (const one of this.store.processes.values())
        if (one.condition === "alive") one.lastSeen = this.store.now();
    }, 500);
  }

  /** Makes one trace of very many spans. */
  large(count: number, trace: string): void {
    const { store } = this;
    const begin = -ms(count * 0.6 + 60_000);
    const root = this.begin(trace, "", "nightly import", begin, "import-1", "server");
    const batches = Math.floor(count / 20);
    for (let batch = 0; batch < batches; batch++) {
      const start = begin + ms(batch * 12);
      const failed = this.random() < 0.01;
      const name = `batch ${["orders", "users", "stock"][batch % 3]}`;
      const parent = this.begin(trace, root.id, name, start, "import-1");
      for (let step = 0; step < 19; step++) {
        const from = start + ms(step * 0.55);
        const one = this.begin(
          trace,
          parent.id,
          step % 4 ? "encode row" : `INSERT ${step}`,
          from,
          "import-1",
        );
        store.put({ ...one, end: from + ms(0.1 + this.random() * 0.4), state: "ended" });
      }
      const error = failed ? { error: "Timeout: store" } : {};
      store.put({ ...parent, end: start + ms(11), state: failed ? "error" : "ended", ...error });
    }
    store.put({ ...root, end: begin + ms(batches * 12), state: "ended" });
  }

  /** Puts hostile texts into every field that a program can set. */
  hostile(): void {
    const { store } = this;
    for (const text of TEXTS) {
      const id = `hostile-${text.slice(0, 20)}`;
      store.processes.set(id, {
        id,
        label: text,
        service: text,
        pid: 1,
        condition: "hung",
        lastSeen: 0,
      });
      const span = this.begin(this.hex(32), "", text, store.now() - ms(5), id);
      const place = `${text}:41 ${text}`;
      const more = { error: text, cause: text, place, where: place, thread: text, task: text };
      const attributes = Object.fromEntries([
        ["key", text],
        [text, text],
      ]);
      const events = [{ name: text, time: 1e9, attributes }];
      const links = [{ trace_id: text, span_id: text, attributes }];
      store.put({ ...span, ...more, state: "stalled", details: { attributes, events, links } });
      store.put({
        ...span,
        ...more,
        id: this.hex(16),
        parent: span.id,
        state: "error",
        end: store.now(),
      });
      store.log({
        trace: span.trace,
        span: span.id,
        process: id,
        time: store.now(),
        level: text.slice(0, 30),
        text,
        attributes,
      });
    }
  }

  /** Lets a trace grow by so many spans each second. */
  grow(trace: string, each: number): void {
    const { store } = this;
    const root = [...(store.traces.get(trace)?.values() ?? [])].find((span) => !span.parent);
    if (!root) return;
    store.put({ ...root, state: "running", end: null });
    let open: StoredSpan[] = [];
    setInterval(() => {
      for (const span of open) store.put({ ...span, end: store.now(), state: "ended" });
      open = [];
      for (let at = 0; at < each / 5; at++)
        open.push(this.begin(trace, root.id, `late ${at % 7}`, store.now() + at, "import-1"));
    }, 200);
  }

  private request(start: number, isPast: boolean): void {
    const trace = this.hex(32);
    const route = ROUTES[Math.floor(this.random() * this.random() * ROUTES.length)] ?? "";
    const root = this.begin(trace, "", route, start, "shop-1", "server", {
      "http.route": route,
      "user.id": Math.floor(this.random() * 90),
    });
    this.store.log({
      trace,
      span: root.id,
      process: "shop-1",
      time: start + ms(1),
      level: "info",
      text: `${route} begins`,
      attributes: { cart: 12 },
    });
    const steps: [string, string, string][] = [
      ["load cart", "shop-1", "internal"],
      ["SELECT carts", "shop-1", "client"],
      ["charge", "bank-1", "server"],
      ["send receipt", "mail-1", "producer"],
    ];
    const fails = this.random() < 0.15;
    let at = start + ms(2);
    const scale = isPast ? 20 : 400;
    const plan: (() => void)[] = [];
    const times: number[] = [];
    for (const [name, process, kind] of steps.slice(0, 1 + Math.floor(this.random() * 4))) {
      const from = at;
      const length = ms(2 + this.random() * scale);
      const isLast = name === "charge";
      plan.push(() => {
        const span = this.begin(trace, root.id, name, from, process, kind as "client");
        const end = () => {
          const failed = fails && isLast;
          this.store.put({
            ...span,
            end: from + length,
            state: failed ? "error" : "ended",
            ...(failed ? { error: "Declined: no cover" } : {}),
          });
          if (failed)
            this.store.log({
              trace,
              span: span.id,
              process,
              time: from + length,
              level: "error",
              text: "card declined",
              attributes: { code: 51 },
            });
        };
        if (isPast) end();
        else setTimeout(end, length / 1e6);
      });
      times.push(from);
      at += length + ms(1);
    }
    const finish = () =>
      this.store.put({
        ...root,
        end: at,
        state: fails && steps.length > 2 && at - start > ms(scale) ? "error" : "ended",
      });
    if (isPast) {
      for (const step of plan) step();
      finish();
      return;
    }
    plan.forEach((step, index) => {
      setTimeout(step, ((times[index] ?? 0) - start) / 1e6);
    });
    setTimeout(finish, (at - start) / 1e6);
  }

  /** A job with many items, one after the other, of which a lock stalls now and then. */
  private longJob(): void {
    const trace = this.hex(32);
    const start = this.store.now();
    const root = this.begin(trace, "", "import catalogue", start, "import-1", "internal", {
      file: "catalogue.csv",
    });
    let items = 0;
    const next = () => {
      const from = this.store.now();
      const item = this.begin(
        trace,
        root.id,
        items % 3 ? "import item" : "import image",
        from,
        "import-1",
      );
      this.store.log({
        trace,
        span: item.id,
        process: "import-1",
        time: from,
        level: items % 5 ? "debug" : "warning",
        text: `item ${items}`,
        attributes: { item: items },
      });
      items += 1;
      setTimeout(
        () => {
          this.store.put({ ...item, end: this.store.now(), state: "ended" });
          setTimeout(next, 150);
        },
        300 + this.random() * 900,
      );
    };
    next();
    const lock = this.begin(trace, root.id, "wait for lock", start + ms(100), "import-1");
    const stall = () =>
      this.store.put({ ...lock, state: "stalled", where: "/home/me/app/import/locks.py:41 wait" });
    setTimeout(stall, 4_000);
  }

  /** A worker that is killed while it works, and then another one. */
  private worker(): void {
    const trace = this.hex(32);
    const id = `mail-${Math.floor(this.store.now() / 1e9)}`;
    const pid = 5000 + Math.floor(this.random() * 999);
    this.store.processes.set(id, {
      id,
      label: `${pid} worker.py`,
      service: "mail",
      pid,
      condition: "alive",
      lastSeen: this.store.now(),
    });
    const root = this.begin(trace, "", "deliver newsletters", this.store.now(), id, "consumer");
    const child = this.begin(
      trace,
      root.id,
      "smtp session",
      this.store.now() + ms(20),
      id,
      "client",
    );
    setTimeout(() => {
      const process = this.store.processes.get(id);
      if (process) process.condition = "dead";
      for (const span of [root, child]) this.store.put({ ...span, state: "lost" });
      setTimeout(() => {
        for (const span of [root, child])
          this.store.put({
            ...span,
            state: "abandoned",
            end: process?.lastSeen ?? 0,
            cause: "its process died",
          });
        this.worker();
      }, 12_000);
    }, 9_000);
  }

  private begin(
    trace: string,
    parent: string,
    name: string,
    start: number,
    process: string,
    kind: StoredSpan["kind"] = "internal",
    attributes: Attributes = {},
  ): StoredSpan {
    return this.store.put({
      trace,
      id: this.hex(16),
      parent,
      name,
      state: "running",
      kind,
      process,
      start,
      end: null,
      place: `/home/me/app/${process.split("-")[0]}/app.py:${10 + (name.length % 80)} ${name.split(" ")[0]}`,
      thread: "MainThread",
      task: `Task-${name.length}`,
      details: { attributes: { "code.name": name, ...attributes }, events: [], links: [] },
    });
  }

  private hex(digits: number): string {
    let text = "";
    while (text.length < digits) text += Math.floor(this.random() * 16).toString(16);
    return text;
  }

  private random(): number {
    this.seed = (this.seed * 48271) % 2147483647;
    return this.seed / 2147483647;
  }
}
