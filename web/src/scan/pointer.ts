import type { Plane, Point, Viewer } from './viewer'

export interface PointerActions {
  /** The pointer is over a plane, or over nothing (null). */
  hover: (at: { plane: Plane; mm: Point } | null) => void
  /** A stroke of the correction brush; returns whether it takes the press. */
  strokeStart?: (at: { plane: Plane; mm: Point }) => boolean
  strokeMove?: (at: { plane: Plane; mm: Point }) => void
  strokeEnd?: () => void
}

/**
 * Puts mouse, pen and touch on one footing in front of NiiVue. One finger acts as the left mouse
 * button, so that every tool works on a tablet. Two fingers zoom.
 */
export function attachPointer(viewer: Viewer, frame: HTMLElement, actions: PointerActions): void {
  const { canvas } = viewer
  let isStroke = false
  let pinch = 0

  const at = (event: { clientX: number; clientY: number }) => viewer.pick(event.clientX, event.clientY)
  const begin = (event: { clientX: number; clientY: number }): boolean => {
    viewer.touch()
    const place = at(event)
    isStroke = place !== null && (actions.strokeStart?.(place) ?? false)
    return isStroke
  }
  const move = (event: { clientX: number; clientY: number }) => {
    const place = at(event)
    actions.hover(place)
    if (isStroke && place) actions.strokeMove?.(place)
  }
  const end = () => {
    if (isStroke) actions.strokeEnd?.()
    isStroke = false
  }

  const stop = (event: Event) => {
    event.preventDefault()
    event.stopPropagation()
  }

  frame.addEventListener(
    'mousedown',
    (event) => {
      if (event.target !== canvas) return
      const isPlain = event.button === 0 && !event.shiftKey
      if (isPlain && begin(event)) {
        canvas.focus()
        stop(event)
      } else viewer.touch()
    },
    true
  )
  frame.addEventListener(
    'mousemove',
    (event) => {
      if (event.buttons !== 0) viewer.touch()
      move(event)
      if (isStroke) event.stopPropagation()
      else if (event.buttons !== 0) requestAnimationFrame(() => viewer.readWindow())
    },
    true
  )
  // The person may release the button outside the canvas.
  window.addEventListener('mouseup', end, true)
  frame.addEventListener('mouseleave', () => actions.hover(null))
  // NiiVue resets the window on a double click, which would lose a preset by accident.
  frame.addEventListener('dblclick', (event) => event.stopPropagation(), true)
  frame.addEventListener(
    'wheel',
    (event) => {
      viewer.touch()
      if (!event.ctrlKey && !event.metaKey) return
      stop(event)
      viewer.zoom(event.deltaY < 0 ? 1.1 : 1 / 1.1)
    },
    { capture: true, passive: false }
  )

  const mouse = (type: string, touch: Touch, buttons: number) =>
    canvas.dispatchEvent(
      new MouseEvent(type, { clientX: touch.clientX, clientY: touch.clientY, button: 0, buttons, bubbles: true, cancelable: true })
    )
  const spread = (touches: TouchList): number => {
    const [a, b] = [touches[0], touches[1]]
    return a && b ? Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY) : 0
  }
  const touchOptions = { capture: true, passive: false } as const
  frame.addEventListener(
    'touchstart',
    (event) => {
      if (event.target !== canvas) return
      stop(event)
      const first = event.touches[0]
      pinch = spread(event.touches)
      if (event.touches.length === 1 && first) mouse('mousedown', first, 1)
    },
    touchOptions
  )
  frame.addEventListener(
    'touchmove',
    (event) => {
      if (event.target !== canvas) return
      stop(event)
      const first = event.touches[0]
      if (event.touches.length === 1 && first) mouse('mousemove', first, 1)
      const next = spread(event.touches)
      if (pinch > 0 && next > 0) viewer.zoom(next / pinch)
      pinch = next
    },
    touchOptions
  )
  frame.addEventListener(
    'touchend',
    (event) => {
      if (event.target !== canvas) return
      stop(event)
      const touch = event.changedTouches[0]
      if (touch) mouse('mouseup', touch, 0)
      pinch = 0
    },
    touchOptions
  )
}
