/** Only the workflows that these tests use, because bundling all of them takes longer. */
export { deadLetter } from '../../workflows/dead-letters/dead-letter.ts';
export { producer } from '../../workflows/producers/producer.ts';
