// Takes a picture of every page in three sizes, light and dark:
//   MULTIRNET_URL='http://127.0.0.1:8042/?token=…' node screenshots.mjs FOLDER [NAME OF A SCAN]
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { chromium } from 'playwright-core'

const [folder = 'screenshots', scanName = ''] = process.argv.slice(2)
const link = process.env.MULTIRNET_URL
if (!link) throw new Error('the environment variable MULTIRNET_URL is not set (give the link that the server printed)')
const { origin } = new URL(link)
const SIZES = [
  [1280, 800],
  [1024, 768],
  [820, 1180]
]
const WAIT_MS = 180_000

mkdirSync(folder, { recursive: true })
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--use-angle=swiftshader', '--enable-unsafe-swiftshader', '--ignore-gpu-blocklist']
})

for (const [width, height] of SIZES) {
  for (const colorScheme of ['light', 'dark']) {
    const context = await browser.newContext({ viewport: { width, height }, colorScheme })
    context.setDefaultTimeout(WAIT_MS)
    const page = await context.newPage()
    const take = (name) => page.screenshot({ path: join(folder, `${name}-${width}x${height}-${colorScheme}.png`) })
    await page.goto(link)
    await page.getByTestId('job-row').first().waitFor()
    await page.waitForTimeout(800)
    await take('list')
    const query = `state=done&limit=1&q=${encodeURIComponent(scanName)}`
    const { jobs } = await (await page.request.get(`${origin}/api/v1/jobs?${query}`)).json()
    if (jobs[0]) {
      await page.goto(`${origin}/scan/${jobs[0].id}`)
      await page.waitForFunction(() => document.documentElement.dataset.firstPicture === '1')
      await page.getByTestId('lesion-row').first().waitFor()
      await page.waitForTimeout(2500)
      await take('scan')
      await page.getByTestId('overlay-lungs').check()
      await page.getByTestId('overlay-heatmap').check()
      await page.waitForTimeout(2500)
      await take('layers')
      await page.getByTestId('overlay-heatmap').uncheck()
      const toggle = page.getByTestId('previous-toggle')
      if (await toggle.isVisible()) {
        await toggle.click()
        await page.waitForTimeout(5000)
        await take('previous')
        await toggle.click()
      }
      await page.getByTestId('correct').click()
      await page.getByTestId('paint').waitFor()
      await page.waitForTimeout(3000)
      await take('correction')
      await page.getByTestId('help').click()
      await page.getByTestId('help-dialog').waitFor()
      await take('help')
    }
    for (const path of ['corrections', 'models', 'api/docs']) {
      await page.goto(`${origin}/${path}`)
      // The stream of events stays open, so the network is never idle.
      await page.waitForTimeout(1500)
      if (path === 'api/docs') await page.locator('.operation summary').first().click()
      await take(path.replace('/', '-'))
    }
    await context.close()
  }
}
await browser.close()
