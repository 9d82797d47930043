/** Types of what the page takes from its vendored modules; only what it uses. */
declare module "preact" {
  export function h(type: any, props: any, ...children: any[]): any;
  export function render(what: any, place: Element): void;
  export const Fragment: any;
}
declare module "preact/hooks" {
  export function useErrorBoundary(told?: (error: any) => void): [any, () => void];
  type Change<T> = (next: T | ((before: T) => T)) => void;
  export function useState<T>(start: T | (() => T)): [T, Change<T>];
  export function useRef<T>(start: T): { current: T };
  export function useMemo<T>(make: () => T, on: unknown[]): T;
  export function useEffect(run: () => void | (() => void), on?: unknown[]): void;
  export function useLayoutEffect(run: () => void | (() => void), on?: unknown[]): void;
}
declare module "@preact/signals" {
  export interface ReadonlySignal<T> {
    readonly value: T;
    peek(): T;
    subscribe(tell: (value: T) => void): () => void;
  }
  export interface Signal<T> extends ReadonlySignal<T> {
    value: T;
  }
  export function signal<T>(start: T): Signal<T>;
  export function computed<T>(make: () => T): ReadonlySignal<T>;
  export function effect(run: () => void | (() => void)): () => void;
  export function batch<T>(run: () => T): T;
  export function useSignal<T>(start: T): Signal<T>;
  export function useComputed<T>(make: () => T): ReadonlySignal<T>;
}
declare module "htm" {
  const htm: { bind(make: any): (text: TemplateStringsArray, ...values: any[]) => any };
  export default htm;
}
