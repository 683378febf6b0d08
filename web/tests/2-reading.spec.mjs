import assert from 'node:assert/strict'
import { basename } from 'node:path'
import { after, before, test } from 'node:test'
import { config, launch, openPage, openScan, readBytes, withScreenshot, scanName } from './browser.mjs'
import { canvasPixels, colouredPixels, difference, eventually } from './pixels.mjs'

let browser
let session
let id = ''
const file = `viewer-${Date.now()}-${basename(config.phantom)}`
// The server names scans without the ending of their files.
const name = scanName(file)

before(async () => {
  browser = await launch()
  session = await openPage(browser)
})
after(async () => {
  await browser?.close()
})

test('a_scan_is_uploaded_over_a_broken_network_and_analysed_while_the_list_shows_its_progress', async () => {
  const { page } = session
  await withScreenshot(page, 'upload', async () => {
    const buffer = readBytes(config.phantom)
    const row = page.getByTestId('job-row').filter({ hasText: name })
    // The network breaks once during the upload, which goes on by itself.
    let breaks = 1
    await page.route('**/api/v1/uploads/*', (route) => {
      if (route.request().method() !== 'PATCH' || breaks === 0) return route.fallback()
      breaks -= 1
      return route.abort('connectionreset')
    })
    await session.tolerate(async () => {
      await page.getByTestId('upload-input').setInputFiles({ name: file, mimeType: 'application/octet-stream', buffer })
      await row.waitFor()
    })
    assert.equal(breaks, 0)
    await page.unroute('**/api/v1/uploads/*')
    const states = new Set()
    await eventually(
      async () => {
        const state = await row.getAttribute('data-state')
        states.add(state)
        return state
      },
      (state) => state === 'done' || state === 'failed',
      'the scan is done',
      600_000
    )
    assert.equal(await row.getAttribute('data-state'), 'done')
    assert.ok(states.size > 1, `only ${[...states]} was seen`)
    id = await row.getAttribute('data-job-id')
  })
})

test('search_and_filter_find_the_scan', async () => {
  const { page } = session
  await withScreenshot(page, 'search', async () => {
    await page.getByTestId('search').fill(name)
    await eventually(() => page.getByTestId('job-row').count(), (n) => n === 1, 'one row')
    await page.getByTestId('filter-state').selectOption('failed')
    await eventually(() => page.getByTestId('job-row').count(), (n) => n === 0, 'no row')
    await page.getByTestId('filter-state').selectOption('done')
    await eventually(() => page.getByTestId('job-row').count(), (n) => n === 1, 'one row')
  })
})

test('a_click_opens_the_scan_and_draws_its_first_picture', async () => {
  const { page } = session
  await withScreenshot(page, 'first-picture', async () => {
    await page.evaluate(() => performance.mark('click'))
    await page.getByTestId('job-row').filter({ hasText: name }).getByRole('link').click()
    await page.waitForFunction(() => document.documentElement.dataset.firstPicture === '1')
    const ms = await page.evaluate(() => performance.measure('wait', 'click', 'first-picture').duration)
    console.log(`# first picture after ${Math.round(ms)} ms`)
    await page.getByTestId('lesion-row').first().waitFor()
    assert.match(await page.getByTestId('resolution').innerText(), /preview|full/i)
  })
})

test('the_lesion_layer_colours_pixels_and_leaves_them_grey_when_it_is_off', async () => {
  const { page } = session
  await withScreenshot(page, 'lesion-layer', async () => {
    await page.getByTestId('view-axial').click()
    const on = await eventually(async () => colouredPixels(await canvasPixels(page)), (n) => n > 50, 'coloured pixels')
    await page.getByTestId('overlay-lesions').uncheck()
    const off = await eventually(async () => colouredPixels(await canvasPixels(page)), (n) => n < on / 10, 'grey pixels')
    await page.getByTestId('overlay-lesions').check()
    await eventually(async () => colouredPixels(await canvasPixels(page)), (n) => n > 2 * off + 20, 'coloured pixels again')
  })
})

test('scrolling_changes_the_slice_and_presets_change_the_picture', async () => {
  const { page } = session
  await withScreenshot(page, 'scroll', async () => {
    const slice = page.getByTestId('slice-readout')
    const before = await slice.innerText()
    const first = await canvasPixels(page)
    await page.getByTestId('canvas').hover()
    await page.mouse.wheel(0, 100)
    await eventually(() => slice.innerText(), (text) => text !== before, 'another slice')
    await page.getByTestId('canvas').focus()
    const scrolled = await slice.innerText()
    await page.keyboard.press('PageUp')
    await eventually(() => slice.innerText(), (text) => text !== scrolled, 'another slice by key')
    await eventually(async () => difference(first, await canvasPixels(page)), (share) => share > 0.01, 'another picture')
    const lung = await canvasPixels(page)
    await page.getByTestId('preset-mediastinum').click()
    await eventually(async () => difference(lung, await canvasPixels(page)), (share) => share > 0.05, 'the mediastinum window')
    await page.getByTestId('preset-lung').click()
    await eventually(async () => difference(lung, await canvasPixels(page)), (share) => share < 0.02, 'the lung window')
  })
})

test('probability_and_heat_map_load_when_they_are_switched_on', async () => {
  const { page } = session
  await withScreenshot(page, 'probability', async () => {
    await page.getByTestId('lesion-row').first().getByRole('button').click()
    await page.mouse.move(2, 2)
    await page.getByTestId('overlay-probability').check()
    await eventually(() => page.getByTestId('probability-readout').innerText(), (text) => /^[01]\.\d\d$/.test(text), 'a probability')
    await page.getByTestId('overlay-probability').uncheck()
    assert.match(await page.getByTestId('hu-readout').innerText(), /^−?\d+$/)
  })
})

test('a_lesion_row_moves_the_crosshair_and_the_help_lists_the_keys', async () => {
  const { page } = session
  await withScreenshot(page, 'lesions', async () => {
    const rows = await page.getByTestId('lesion-row').count()
    await page.keyboard.press('n')
    const here = await page.getByTestId('position-readout').innerText()
    if (rows > 1) {
      await page.keyboard.press('n')
      await eventually(() => page.getByTestId('position-readout').innerText(), (text) => text !== here, 'another place')
    }
    await page.getByTestId('lesion-row').first().getByRole('button').focus()
    await page.keyboard.press('Enter')
    await page.keyboard.press('?')
    await page.getByTestId('help-dialog').waitFor()
    await page.keyboard.press('Escape')
    await page.getByTestId('help-dialog').waitFor({ state: 'detached' })
  })
})

test('a_distance_is_measured_by_dragging', async () => {
  const { page } = session
  await withScreenshot(page, 'measure', async () => {
    await page.getByTestId('measure').click()
    const box = await page.getByTestId('canvas').boundingBox()
    const [x, y] = [box.x + box.width / 2, box.y + box.height / 2]
    await page.mouse.move(x, y)
    await page.mouse.down()
    await page.mouse.move(x + 60, y, { steps: 4 })
    await page.mouse.up()
    const done = () => page.evaluate(() => window.__viewer.nv.document.completedMeasurements.length)
    await eventually(done, (n) => n === 1, 'a measurement')
    await page.getByTestId('measure').click()
  })
})

test('the_full_resolution_replaces_the_preview_and_keeps_the_crosshair', async () => {
  const { page } = session
  await withScreenshot(page, 'full-resolution', async () => {
    await openScan(page, id)
    await page.mouse.move(2, 2)
    const before = await page.getByTestId('position-readout').innerText()
    const load = page.getByTestId('load-full')
    if (await load.count()) await load.click()
    await eventually(() => page.getByTestId('resolution').innerText(), (text) => text.startsWith('Full resolution,'), 'full resolution', 180_000)
    assert.equal(await page.getByTestId('position-readout').innerText(), before)
  })
})

test('the_page_did_nothing_that_it_must_not_do', () => {
  assert.deepEqual(session.faults, [])
})
