/** The note in a model's folder that says which model it is, so that it is found again by name. */
export const noteName = '.model.json'
