// A window of whole families: a partition of the root, and of each member that lines up with it the partition
// of the same bounds (alignment.hpp).
#pragma once

#include "retention/leaf_check.hpp"

namespace privacy_scan::retention
{

// Looks through a window that has a leaf of the root, for move_window(), which then waits for older snapshots
// and hands the leaves over. Fills in the batch but for the leaves. As the owner.
//
// How nothing is lost, and no orphan left:
// 1. SHARE UPDATE EXCLUSIVE on the leaves keeps VACUUM and DDL out. Where all roots have expired, and foreign keys and
//    bounds say of every row of the others that its root is in the window, those go unread, with what may still come to
//    them; how many there are is counted where they lie in the archive (leaf_proof.hpp), unless is_counted asks for it
//    now. Otherwise the leaves' pages, and always those of the root's, are remembered: whatever is read
//    from then on is what is handed over, or the comparison of pages under the strong locks fails: a root that is
//    changed, a row that comes to a root, a row that goes, shows in a leaf of the window.
// 2. Roots go that have expired, unheld (no hold is placed before the transaction ends), with the rows of the other
//    leaves whose root, or whose parent that goes with it, is in the window. The rest stays: where it is little, it
//    is moved out of the way (refuge.hpp).
// 3. No row outside the window refers to one inside: those of the members that line up cannot, by their bounds.
//    Their other partitions are probed for the range of the roots' keys all the same: where the order of a
//    collation has changed, PostgreSQL finds rows in partitions where they don't belong.
// 4. The rows of members that don't line up go one by one. For them, and only then, the roots are locked FOR
//    UPDATE, before anything else, so that no further row can come to belong to them.
//
// Errors: 55000 why it must go row by row, 55P03, 42P01.
std::vector<CheckedLeaf> check_family(pg::Spi &spi, const Work &work, const std::vector<ArchiveTable> &archives,
                                      const Window &window, bool is_counted, Batch &batch);

} // namespace privacy_scan::retention
