/** The script of the application: shows what the server of this page holds, live. */

import { render } from "preact";
import { Client } from "../live/client";
import "../view/styles/index.css";
import { App } from "./app";
import { Shell } from "./shell/Shell";
import "./styles/index.css";

const root = document.getElementById("viewer") ?? document.body;
const client = new Client(new URL("api/v1/", document.baseURI).href);
render(<Shell app={new App(client)} />, root);
root.removeAttribute("aria-busy");
