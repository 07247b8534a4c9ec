// @ts-check

/**
 * @typedef {{ label: string, does: string, says: string }} LessonStep
 *   `does` is the name of what the server does for this step; `says` is read when it is done.
 * @typedef {{ lesson: string, title: string, what: string, steps: readonly LessonStep[], question: string,
 *   choices: readonly string[], right: number, because: string }} Lesson
 *   `right` is the choice that the servers' ledger confirms.
 */
