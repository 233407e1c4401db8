// The least that a page with a model needs: what it weighs is what the engine weighs.
import { openEngine } from 'fovea/llm'

const engine = await openEngine(await (await fetch('model.gguf')).blob())
for await (const { text } of engine.generate({ prompt: 'Call me', maxTokens: 20 })) document.body.append(text)
