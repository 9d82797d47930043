/** Draw: the page that has drawn since the first version, in a frame of its own. */
import { useEffect } from "../html.js";

export function Screen() {
  useEffect(() => location.assign("/draw"), []);
  return null;
}
