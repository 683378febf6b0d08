// Builds elements. Text always goes through text nodes, so data can never become markup.

type Child = Node | string | number | null | undefined | false
type Attributes = Record<string, string | number | boolean | null | undefined>
type Listeners = { [K in keyof HTMLElementEventMap]?: (event: HTMLElementEventMap[K]) => void }

export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag)
  setAttributes(element, attributes)
  add(element, ...children)
  return element
}

/** Sets attributes; `false`, `null` and `undefined` remove one, `true` sets it empty. */
export function setAttributes(element: Element, attributes: Attributes): void {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) element.removeAttribute(name)
    else element.setAttribute(name, value === true ? '' : String(value))
  }
}

export function add(parent: Node, ...children: Child[]): void {
  for (const child of children) {
    if (child === null || child === undefined || child === false) continue
    parent.appendChild(child instanceof Node ? child : document.createTextNode(String(child)))
  }
}

export function on<E extends HTMLElement>(element: E, listeners: Listeners): E {
  for (const [name, listener] of Object.entries(listeners)) {
    element.addEventListener(name, listener as EventListener)
  }
  return element
}

export function replace(parent: Element, ...children: Child[]): void {
  parent.replaceChildren()
  add(parent, ...children)
}

export function button(
  label: string,
  attributes: Attributes,
  press: (event: MouseEvent) => void
): HTMLButtonElement {
  return on(h('button', { type: 'button', ...attributes }, label), { click: press })
}

/** Sets text only when it differs, so that a live region does not speak twice. */
export function setText(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text
}

/** Text that only screen readers see. */
export function hidden(text: string): HTMLElement {
  return h('span', { class: 'visually-hidden' }, text)
}

/** A field with its label. */
export function labelled(label: string, control: HTMLElement, attributes: Attributes = {}): HTMLElement {
  return h('label', { class: 'field', ...attributes }, h('span', { class: 'field-label' }, label), control)
}

export function select(
  attributes: Attributes,
  options: readonly (readonly [value: string, label: string])[],
  value: string
): HTMLSelectElement {
  const element = h('select', attributes)
  for (const [v, label] of options) add(element, h('option', { value: v, selected: v === value }, label))
  return element
}
