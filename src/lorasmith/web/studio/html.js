/** What every part of the page is made of: markup as tagged templates, state as signals. */
import { h, render, Fragment } from "preact";
import { useEffect, useErrorBoundary, useRef, useState, useMemo, useLayoutEffect } from "preact/hooks";
import { signal, computed, effect, batch, useSignal, useComputed } from "@preact/signals";
import htm from "htm";

export const html = htm.bind(h);
export { render, Fragment, useEffect, useErrorBoundary, useRef, useState, useMemo, useLayoutEffect };
export { signal, computed, effect, batch, useSignal, useComputed };
