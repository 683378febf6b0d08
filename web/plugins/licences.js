import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

// The folder of the package that a module belongs to, or null for modules of this project.
function packageFolder(id) {
  const match = /^(.*\/node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(id)
  return match ? match[1] : null
}

function licenceText(folder, name) {
  const file = readdirSync(folder).find((f) => /^licen[cs]e(\.(md|txt))?$/i.test(f))
  if (file) return readFileSync(join(folder, file), 'utf8')
  // Some packages ship without their licence. licences/ holds a copy from their repository.
  const own = new URL(`../licences/${name.replace('/', '-').replace('@', '')}.txt`, import.meta.url)
  if (!existsSync(own)) throw new Error(`${name}: the package has no licence file (put a copy at ${own.pathname})`)
  return readFileSync(own, 'utf8')
}

// Writes licences.txt: the licences of every package that the build contains.
export function licences() {
  return {
    name: 'licences',
    generateBundle(_options, bundle) {
      const folders = new Set()
      for (const chunk of Object.values(bundle)) {
        if (chunk.type !== 'chunk') continue
        for (const id of Object.keys(chunk.modules)) {
          const folder = packageFolder(id)
          if (folder) folders.add(folder)
        }
      }
      const parts = [...folders].map((folder) => {
        const { name, version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
        return { name, text: `${name} ${version} (${license})\n\n${licenceText(folder, name).replace(/\r/g, '').trim()}\n` }
      })
      // NiiVue draws its letters with a font that has a licence of its own.
      const apache = readFileSync(new URL('../../LICENSE-APACHE', import.meta.url), 'utf8')
      parts.push({ name: 'Roboto', text: `Roboto, the font that @niivue/niivue contains (Apache-2.0)\n\n${apache.replace(/\r/g, '').trim()}\n` })
      parts.sort((a, b) => (a.name < b.name ? -1 : 1))
      const head = 'The viewer contains these packages, whose licences follow.\n\n'
      const source = head + parts.map((p) => p.text).join(`\n${'-'.repeat(78)}\n\n`)
      this.emitFile({ type: 'asset', fileName: 'licences.txt', source })
    }
  }
}
