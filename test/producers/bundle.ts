/** The workflows of this folder's tests alone: the whole product's take longer to bundle. */
export { deadLetter } from '../../workflows/dead-letters/dead-letter.ts';
export { producer } from '../../workflows/producers/producer.ts';
