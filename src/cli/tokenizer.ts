import { FoveaError } from '../ir/error.ts'
import { writeAside } from '../model/files/write-aside.ts'
import { readDocuments } from '../train/data/read-documents.ts'
import { textFiles } from '../train/data/text-files.ts'
import { defaultSpecialTokens, trainTokenizer } from '../train/tokenizer/train-tokenizer.ts'
import { type Command, parseCommand, wholeNumber } from './command.ts'

export const tokenizerCommand: Command = {
  help: [
    'usage: fovea tokenizer train FILE|FOLDER … --vocab-size N --out PATH',
    '',
    'Learns a byte-level BPE tokenizer from texts and writes it as a tokenizer.json of Hugging Face. Texts are UTF-8; a NUL',
    'separates documents of one file; of a folder .txt, .text, .md and .txt.xz are read (.xz by the program xz).',
    '',
    '  --vocab-size N      special tokens, 256 bytes and merges together (8192)',
    '  -o, --out PATH      the file (tokenizer.json); an old one is replaced when the new one is whole',
    `  --special A,B,…     the first tokens (${defaultSpecialTokens.join(',')})`,
    '  --keep-numbers      merge digits, too; otherwise each digit is a token',
  ].join('\n'),
  async run(args) {
    const { values, positionals } = parseCommand(
      'tokenizer',
      args,
      {
        'vocab-size': { type: 'string', default: '8192' },
        out: { type: 'string', short: 'o', default: 'tokenizer.json' },
        special: { type: 'string' },
        'keep-numbers': { type: 'boolean', default: false },
      },
      Number.POSITIVE_INFINITY,
    )
    const [verb, ...paths] = positionals
    if (verb !== 'train' || paths.length === 0)
      throw new FoveaError('argument', 'fovea tokenizer', 'usage: fovea tokenizer train FILE|FOLDER … --out PATH')
    const start = performance.now()
    let characters = 0
    const definition = await trainTokenizer({
      texts: readDocuments(await textFiles(paths)),
      vocabSize: wholeNumber('tokenizer', '--vocab-size', values['vocab-size']),
      splitDigits: !values['keep-numbers'],
      ...(values.special !== undefined && { specialTokens: values.special.split(',') }),
      onProgress: (read) => {
        characters = read
      },
    })
    const bytes = new TextEncoder().encode(`${JSON.stringify(definition, null, 1)}\n`)
    await writeAside(values.out, (sink) => sink.write(bytes))
    const seconds = ((performance.now() - start) / 1000).toFixed(1)
    console.log(
      `${values.out} holds ${values['vocab-size']} tokens, learnt from ${characters} characters in ${seconds} s`,
    )
  },
}
