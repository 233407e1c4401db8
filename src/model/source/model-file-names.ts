/** What is read of a folder as Hugging Face lays it out, besides its weights. */
export const describedFiles: readonly string[] = [
  'config.json',
  'generation_config.json',
  'tokenizer.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'chat_template.jinja',
  'chat_template.json',
  // how a text becomes a vector, as sentence-transformers writes it
  'modules.json',
  'config_sentence_transformers.json',
  'sentence_bert_config.json',
  '1_Pooling/config.json',
]

/** Its weights, and the list of them. */
export const weightFiles = /^model(-\d+-of-\d+)?\.safetensors(\.index\.json)?$/
export const wholeWeights = 'model.safetensors'
export const weightIndex = 'model.safetensors.index.json'

/** Weights as PyTorch writes them by itself: programs in Python's pickle, which are never run here. */
export const pickledWeights = /^(pytorch_model(-\d+-of-\d+)?\.bin(\.index\.json)?|model\.bin|consolidated\.\d+\.pth)$/
export const pickleAdvice =
  "convert it to model.safetensors: python -c \"from transformers import AutoModelForCausalLM as M; M.from_pretrained('FOLDER').save_pretrained('FOLDER')\""
