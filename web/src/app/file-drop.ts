/** Files that are dropped onto the page or chosen: the server reads them and keeps nothing. */
import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError, Latest, type ParsedFile, type Session } from "../state/index.ts";

/** As the server has it; larger files are not sent. */
const MAX_FILE_BYTES = 64 * 2 ** 20;

export interface OpenFile {
  readonly name: string;
  /** What was dropped, to be sent again where it is compared. */
  readonly content: Blob;
  readonly answer: ParsedFile | null;
  readonly error: ApiError | null;
}

export interface Files {
  readonly file: OpenFile | null;
  readonly over: boolean;
  open(file: File): void;
  choose(): void;
  close(): void;
}

export function useFiles(session: Session): Files {
  const [file, setFile] = useState<OpenFile | null>(null);
  const [over, setOver] = useState(false);
  const latest = useRef(new Latest());
  const open = (chosen: File) => {
    const { name } = chosen;
    if (chosen.size > MAX_FILE_BYTES) {
      latest.current.cancel();
      const error = new ApiError(413, "too_large", `${name} has ${chosen.size} bytes, more than ${MAX_FILE_BYTES}.`, "Compress it, or take a shorter profile.");
      setFile({ name, content: chosen, answer: null, error });
      return;
    }
    setFile({ name, content: chosen, answer: null, error: null });
    latest.current.ask(
      (signal) => session.api.parse(name, chosen, signal),
      (outcome) => setFile({ name, content: chosen, ...(outcome.ok ? { answer: outcome.value, error: null } : { answer: null, error: asError(outcome.error) }) }),
    );
  };
  const close = () => {
    latest.current.cancel();
    setFile(null);
  };
  const choose = () => {
    const input = document.createElement("input");
    input.type = "file";
    input.addEventListener("change", () => input.files?.[0] && open(input.files[0]));
    input.click();
  };
  useEffect(() => {
    const controller = new AbortController();
    const { signal } = controller;
    const hasFile = (event: DragEvent) => event.dataTransfer?.types.includes("Files") === true;
    const onOver = (event: DragEvent) => {
      if (!hasFile(event)) return;
      event.preventDefault();
      setOver(true);
    };
    const onDrop = (event: DragEvent) => {
      setOver(false);
      const dropped = event.dataTransfer?.files[0];
      if (!dropped) return;
      event.preventDefault();
      open(dropped);
    };
    window.addEventListener("dragover", onOver, { signal });
    window.addEventListener("dragleave", (event) => event.relatedTarget === null && setOver(false), { signal });
    window.addEventListener("drop", onDrop, { signal });
    return () => controller.abort();
  }, []);
  return { file, over, open, choose, close };
}

function asError(error: unknown): ApiError {
  return error instanceof ApiError ? error : new ApiError(0, "unexpected", String(error));
}
