// Judges an AsyncAPI document with AsyncAPI's own parser: prints a line for each thing that is wrong, and ends with 1 if any is.
//
//     NODE_PATH=…/node_modules node asyncapi.cjs DOCUMENT.json

const { readFileSync } = require('node:fs')
const { Parser } = require('@asyncapi/parser')

// Errors and warnings. Less than that is advice, such as that a newer AsyncAPI is out.
const WARNING = 1

async function judge(text) {
  // The parser would fetch what is referenced elsewhere, and a judgement must not depend on the network.
  const elsewhere = []
  JSON.parse(text, (key, value) => {
    if (key === '$ref' && typeof value === 'string' && !value.startsWith('#')) elsewhere.push(value)
    return value
  })
  if (elsewhere.length > 0) return elsewhere.map((reference) => `$ref ${reference} leaves the document`)
  const found = await new Parser().validate(text)
  return found.filter(({ severity }) => severity <= WARNING).map(({ code, path, message }) => `/${path.join('/')}: ${message} (${code})`)
}

judge(readFileSync(process.argv[2], 'utf8')).then((wrong) => {
  for (const line of wrong) console.log(line)
  process.exitCode = wrong.length > 0 ? 1 : 0
})
