import { render } from "preact";
import { createApi, Session } from "../state/index.ts";
import { App } from "./app.tsx";
import "./style.css";
import "./pages.css";
import { browserEnvironment } from "./use-session.ts";

const host = document.getElementById("app");
if (!host) throw new Error("the page has no #app");
const session = new Session(createApi(), browserEnvironment());
session.start();
render(<App session={session} />, host);
