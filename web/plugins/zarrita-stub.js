// Stands in for zarrita, whose functions NiiVue calls for Zarr images only.
function refuse() {
  throw new Error('this viewer does not read Zarr images')
}

export const open = refuse
export const get = refuse
export const root = refuse
export const slice = refuse
export class FetchStore {
  constructor() {
    refuse()
  }
}
