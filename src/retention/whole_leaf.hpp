// Whole leaves: partitions of which every row belongs to expired roots go into the archive as they are,
// nothing copied.
#pragma once

#include "retention/leaf_choice.hpp"

namespace privacy_scan::retention
{

// Moves a window: its roots with all that belongs to them, the window's leaves as a whole, the rest row by
// row, in a subtransaction of the caller's transaction, which should be committed at once: it may hold strong
// locks.
//
// How nothing is lost, none seen twice:
// 1. SHARE UPDATE EXCLUSIVE on the leaves keeps VACUUM and DDL out, not readers or writers; their pages are
//    remembered (leaf_pages.hpp), then it is read what their rows refer to, from an index if there is one (leaf_index.hpp).
//    With count_first the rows themselves are, for their number and digest, too; otherwise that is left for when they
//    lie in the archive (leaf_proof.hpp).
// 2. The roots referred to are locked FOR UPDATE, if they have expired: no further row can come to belong to them. If all
//    are, every row of the leaves belongs to them; otherwise those of the others stay, and are moved out of the way where
//    they are few (refuge.hpp).
// 3. What else belongs to them is moved row by row, the roots last, as batches do it (family_move.hpp).
//    Nothing of the foreign keys fires meanwhile; the leaves' rows wait for step 5.
// 4. Snapshots from before are waited for: an old one would see the roots, but look for the rows in the live table's
//    partitions of now.
// 5. Strong locks, children first, the root last, in short tries; the pages of the leaves are compared: had any
//    row been added, changed or removed since step 1, it would show. Then each leaf is detached, freed of
//    what it must not keep, and made a child of its archive by inheritance. Whoever reads the archive or the
//    live relation waits for these milliseconds; so no statement finds the leaf in both or in neither.
//
// Where the window has a leaf of the root, its roots go with that, unlocked: family_window.hpp has its own steps
// 1 to 3.
//
// Nothing on success; otherwise why the window must go row by row, with all rolled back: what stands in the
// way of a partition need not stand in that of its rows. Errors: 25001 not READ COMMITTED, XX001
// data_corrupted.
std::optional<std::string> move_window(pg::Spi &spi, Work &work, const Window &window, bool count_first,
                                       Batch &batch, double &locked_ms);

} // namespace privacy_scan::retention
