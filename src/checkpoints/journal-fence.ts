import type { JournalCollection } from "../storage/journal.ts";
import { maxSlot } from "../storage/journal-documents.ts";

const firstFences = 4;

/**
 * Makes every later write with this lease token impossible; once it resolves nothing more of the token lands. Repeatable,
 * also after a crash half-way.
 *
 * Fence records go into the next free slots, several at once, since a fast writer takes single slots before a
 * fence record gets there. One that lands is ahead of the writer, who cannot pass it. All slots below it are taken then: what
 * a crash left free under earlier fence records is filled first.
 */
export async function fenceJournal(
  collection: JournalCollection,
  fence: { readonly journal: string; readonly owner: string; readonly thread_id: string; readonly fences: string },
): Promise<void> {
  const { journal, fences } = fence;
  for (let count = firstFences; ; count *= 2) {
    const standing = await collection.firstFence(journal, fences);
    const from = 1 + (await collection.lastData(journal, standing ?? maxSlot));
    const to = standing === undefined ? (await collection.head(journal)) + count : standing - 1;
    const landed = await collection.insertFences(fence, from, to);
    if (standing !== undefined || landed > 0) return;
  }
}
