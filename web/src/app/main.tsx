import { render } from "preact";
import { ApiError, createApi, linkOf, Session } from "../state/index.ts";
import { App } from "./app.tsx";
import { LinkNotice } from "./link-page.tsx";
import "./style.css";
import "./pages.css";
import { browserEnvironment } from "./use-session.ts";

const host = document.getElementById("app");
if (!host) throw new Error("the page has no #app");

/** A short link is opened by what it says of itself; everything is then asked of the data that it keeps. */
async function open(into: HTMLElement): Promise<void> {
  const id = linkOf(location.pathname);
  if (id === null) {
    begin(into, new Session(createApi(), browserEnvironment()));
    return;
  }
  render(<LinkNotice error={null} />, into);
  try {
    const link = await createApi().link(id, new AbortController().signal);
    // Where somebody has moved on from, there is a view in the address already.
    if (location.search === "") history.replaceState(null, "", `${location.pathname}${link.view}`);
    render(null, into);
    begin(into, new Session(createApi(id), browserEnvironment(), link));
  } catch (error) {
    render(<LinkNotice error={error instanceof ApiError ? error : new ApiError(0, "unexpected", String(error))} />, into);
  }
}

function begin(into: HTMLElement, session: Session): void {
  session.start();
  render(<App session={session} />, into);
}

void open(host);
