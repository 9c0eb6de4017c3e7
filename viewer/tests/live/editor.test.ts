/** Links to an editor lead only below the folders that the server names. */

import { expect, test } from "vitest";
import { editorLink } from "../../src/live/editor";

const EDITOR = { scheme: "vscode", roots: ["/home/me/app"] };

test.each([
  ["/home/me/app/shop.py:41 wait", "vscode://file/home/me/app/shop.py:41"],
  ["/home/me/app/a b/#1?.py:3", "vscode://file/home/me/app/a%20b/%231%3F.py:3"],
  ["shop/pay.py:7", "vscode://file/home/me/app/shop/pay.py:7"],
  ["/home/me/app/ü%.py:9 f", "vscode://file/home/me/app/%C3%BC%25.py:9"],
])("%s", (place, link) => {
  expect(editorLink(EDITOR, place)).toBe(link);
});

test.each([
  "/etc/passwd:1",
  "/home/me/application/shop.py:4",
  "/home/me/app/../secret.py:4",
  "../secret.py:4",
  "./a.py:4",
  "//host/share/a.py:1",
  "https://example.org/home/me/app/a.py:1",
  "javascript:alert(1):1",
  "/home/me/app/a\u202epy.exe:1",
  "/home/me/app/a\n.py:1",
  "/home/me/app/a.py",
  "",
])("no link for %j", (place) => {
  expect(editorLink(EDITOR, place)).toBeNull();
});

test("without roots, without an editor, and for another scheme there are none", () => {
  expect(editorLink(null, "/home/me/app/a.py:1")).toBeNull();
  expect(editorLink({ scheme: "vscode", roots: [] }, "/home/me/app/a.py:1")).toBeNull();
  expect(editorLink({ ...EDITOR, scheme: "javascript" }, "/home/me/app/a.py:1")).toBeNull();
});

test("a relative path is not guessed where there are several roots", () => {
  expect(editorLink({ ...EDITOR, roots: ["/one", "/two"] }, "a.py:1")).toBeNull();
});

test("paths of Windows", () => {
  const editor = { scheme: "vscode", roots: ["C:\\code"] };
  expect(editorLink(editor, "C:\\code\\a b.py:5 f")).toBe("vscode://file/C:/code/a%20b.py:5");
  expect(editorLink(editor, "C:\\other\\a.py:5")).toBeNull();
});
