type Library = typeof import('@niivue/niivue')

let library: Promise<Library> | null = null

/** NiiVue, which is the largest part of the program and a chunk of its own. */
export function loadViewerLibrary(): Promise<Library> {
  library ??= import('@niivue/niivue').catch((error: unknown) => {
    library = null
    throw error
  })
  return library
}
