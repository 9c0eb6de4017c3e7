/** Demo data: a checkout with every state, and a trace of many spans. */

import type { TracesDocument } from "../src/data/contract";
import { Builder } from "./builder";

const ms = (milliseconds: number) => milliseconds * 1e6;

/** Two traces; the first has every state, a gather, a background task and equal siblings. */
export function checkout(): Promise<TracesDocument> {
  const b = new Builder();
  const shop = b.process("shop-4711", "shop");
  const bank = b.process("bank-4712", "bank");
  const mail = b.process("mail-4713", "mail", "lost");
  const now = ms(1480);
  const at = (line: number, name: string): [string, number, string] => ["shop/app.py", line, name];
  const root = b.span({
    name: "POST /checkout",
    kind: "server",
    process: shop,
    start: 0,
    end: null,
    until: now,
    state: "running",
    place: at(12, "checkout"),
    details: {
      attributes: {
        "http.request.method": "POST",
        "http.route": "/checkout",
        "url.full": "https://shop.example/checkout?cart=12",
        "user.id": 7,
        "cart.items": 8,
        "cart.total": 129.95,
        "feature.fast": true,
        "server.address": "10.0.0.4",
        "client.address": "10.0.3.9",
        "http.request.body.size": 532,
      },
    },
  });
  const load = b.span({
    name: "load cart",
    parent: root,
    process: shop,
    start: ms(4),
    end: ms(96),
    place: at(21, "load_cart"),
  });
  b.span({
    name: "SELECT carts",
    parent: load,
    process: shop,
    kind: "client",
    start: ms(6),
    end: ms(38),
    details: {
      attributes: {
        "db.system": "postgresql",
        "db.statement": "SELECT * FROM carts\nWHERE user_id = $1\nORDER BY added",
      },
    },
  });
  for (let item = 0; item < 8; item++) {
    b.span({
      name: "price item",
      parent: load,
      process: shop,
      start: ms(40 + item * 7),
      end: ms(45.5 + item * 7 + (item % 3)),
      details: { attributes: { "item.sku": `A-${100 + item}` } },
    });
  }
  const gather = b.span({
    name: "gather offers",
    parent: root,
    process: shop,
    start: ms(98),
    end: ms(402),
    place: at(40, "gather_offers"),
  });
  b.span({
    name: "GET /stock",
    parent: gather,
    process: shop,
    kind: "client",
    start: ms(100),
    end: ms(221),
  });
  b.span({
    name: "GET /shipping",
    parent: gather,
    process: shop,
    kind: "client",
    start: ms(101),
    end: ms(398),
  });
  b.span({
    name: "GET /vouchers",
    parent: gather,
    process: shop,
    kind: "client",
    start: ms(101),
    end: ms(205),
    until: ms(205),
    state: "cancelled",
    cause: "deadline of 100 ms",
  });
  const charge = b.span({
    name: "charge",
    parent: root,
    process: shop,
    start: ms(410),
    end: ms(731),
    state: "error",
    error: "Declined: no cover",
    place: at(58, "charge"),
    details: {
      attributes: { "payment.amount": 129.95, "payment.currency": "EUR", retry: true },
      events: [
        {
          name: "exception",
          time: ms(730),
          attributes: {
            "exception.type": "Declined",
            "exception.message": "no cover",
            "exception.stacktrace": Array.from(
              { length: 30 },
              (_, line) => `  File "shop/pay.py", line ${line + 20}, in step_${line}`,
            ).join("\n"),
          },
        },
      ],
    },
  });
  const post = b.span({
    name: "POST bank.example/v1/charges",
    parent: charge,
    process: shop,
    kind: "client",
    start: ms(420),
    end: ms(725),
    state: "error",
    error: "HTTP 402 Payment Required",
  });
  const server = b.span({
    name: "POST /v1/charges",
    parent: post,
    process: bank,
    kind: "server",
    start: ms(450),
    end: ms(700),
    state: "error",
    error: "HTTP 402 Payment Required",
    details: { attributes: { "http.response.status_code": 402 } },
  });
  const risk = b.span({
    name: "risk score",
    parent: server,
    process: bank,
    start: ms(470),
    end: ms(655),
  });
  const retry = b.span({
    name: "charge by invoice",
    parent: root,
    process: shop,
    start: ms(740),
    end: null,
    until: now,
    state: "running",
    place: at(66, "charge_by_invoice"),
  });
  b.span({
    name: "lock account",
    parent: retry,
    process: shop,
    start: ms(760),
    end: null,
    until: now,
    state: "stalled",
    place: at(71, "charge_by_invoice"),
    where: "shop/locks.py:41 wait",
  });
  b.span({
    name: "reserve stock",
    parent: root,
    process: shop,
    start: ms(745),
    end: null,
    until: ms(1100),
    state: "abandoned",
    cause: "its task was garbage collected",
  });
  const notify = b.span({
    name: "background: notify customer about the delayed order",
    parent: root,
    process: mail,
    kind: "producer",
    start: ms(900),
    end: null,
    until: ms(1240),
    state: "lost",
  });
  b.span({ name: "render template", parent: notify, process: mail, start: ms(910), end: ms(960) });
  const missing = b.span({
    name: "",
    process: -1,
    start: ms(600),
    end: null,
    until: ms(690),
    state: "missing",
  });
  b.span({
    name: "audit",
    parent: missing,
    process: bank,
    start: ms(600),
    end: ms(690),
    details: {
      links: [{ trace_id: "1ecea7a1c0d2443fb0b1d64c84cbc1f0", span_id: "0000000000000001" }],
    },
  });
  b.log(root, ms(2), "info", "checkout begins", { cart: 12 });
  b.log(load, ms(90), "debug", "8 items priced");
  b.log(charge, ms(728), "error", "card declined", { code: 51 });
  b.log(retry, ms(742), "warning", "falling back to invoice");
  b.log(risk, ms(600), "info", "score 0.82");
  b.log(-1, ms(1240), "error", "mail: no sign of life");
  b.trace("1ecea7a1c0d2443fb0b1d64c84cbc1f0", "", 0, [
    {
      root,
      lower_bound: true,
      segments: [
        [root, 0, ms(4), -1, 0],
        [load, ms(4), ms(96), -1, 0],
        [root, ms(96), ms(101), -1, 0],
        [gather + 2, ms(101), ms(398), -1, 0],
        [root, ms(402), ms(410), -1, 0],
        [charge, ms(410), ms(450), -1, 0],
        [server, ms(450), ms(470), -1, 0],
        [risk, ms(470), ms(655), -1, 0],
        [server, ms(655), ms(731), -1, 0],
        [retry, ms(740), ms(760), -1, 0],
        [retry + 1, ms(760), now, -1, 0],
      ],
    },
  ]);
  const health = b.span({
    name: "GET /health",
    process: shop,
    kind: "server",
    start: ms(2000),
    end: ms(2003.4),
  });
  b.span({
    name: "SELECT 1",
    parent: health,
    process: shop,
    kind: "client",
    start: ms(2000.4),
    end: ms(2002.9),
  });
  b.trace("93bb02aa51f34e5f8d1e6a3cf02f66d2", "Another process uses the same ids.");
  return b.document();
}

/** One trace of about this many spans: requests with steps, some errors. */
export function large(count: number): Promise<TracesDocument> {
  const b = new Builder();
  const processes = ["api", "worker", "store"].map((service, at) =>
    b.process(`${service}-${at}`, service),
  );
  let seed = 7;
  const random = () => {
    seed = (seed * 48271) % 2147483647;
    return seed / 2147483647;
  };
  const batches = Math.floor(count / 20);
  const root = b.span({ name: "nightly import", start: 0, end: ms(batches * 12) });
  for (let batch = 0; batch < batches; batch++) {
    const start = ms(batch * 12);
    const failed = random() < 0.01;
    const details = {
      attributes: {
        "batch.number": batch,
        "batch.key": `k-${Math.floor(random() * 1e9)}`,
        region: batch % 2 ? "eu" : "us",
      },
    };
    const parent = b.span({
      name: `batch ${["orders", "users", "stock"][batch % 3]}`,
      parent: root,
      process: processes[batch % 3] ?? 0,
      start,
      end: start + ms(11),
      state: failed ? "error" : "ended",
      ...(failed ? { error: "Timeout: store" } : {}),
      details,
    });
    for (let step = 0; step < 19; step++) {
      const from = start + ms(step * 0.55);
      b.span({
        name: step % 4 === 0 ? `INSERT ${step}` : "encode row",
        parent: step % 4 === 2 ? parent + step - 1 : parent,
        process: processes[batch % 3] ?? 0,
        start: from,
        end: from + ms(0.1 + random() * 0.4),
        details: { attributes: { row: batch * 19 + step } },
      });
    }
  }
  b.trace("5f0c9d7e11d24cbb9a0e8a4cf7c1aa00");
  return b.document();
}
