// Evidence that no row of a leaf came, went or changed between two moments, without reading the rows again.
//
// What it rests on: every insert, update and delete clears the page's all-visible bit in the visibility map,
// under the lock on the page, and sets the page's LSN; only VACUUM sets the bit again. To lock a row does
// neither. So a page that is all-visible at both moments, no VACUUM having been between them, was not
// touched, and each of its rows is seen by all snapshots, then and later. Of the other pages, few in a leaf
// that nobody writes any more, the LSN is remembered; no transaction that may have written to them must be
// under way at the first moment, since its end would not show on the page.
//
// Red code throughout. Memory: the current context.
#pragma once

#include "pg/postgres.hpp"

extern "C" {
#include <access/xlogdefs.h>
#include <storage/block.h>
#include <utils/rel.h>
}

namespace privacy_scan::retention
{

struct PageMark {
    BlockNumber block;
    XLogRecPtr lsn;
};

struct LeafPages {
    BlockNumber blocks;
    BlockNumber unmarked; // not all-visible, in all
    int marks;            // of them, remembered below: all, or none where there are too many
    PageMark *mark;
};

// More pages than that would have to be looked at while everybody waits.
constexpr BlockNumber most_page_marks = 4096;

// How many pages are not all-visible.
BlockNumber count_unmarked_pages(Relation leaf);

// The first moment. The caller holds SHARE UPDATE EXCLUSIVE, which keeps VACUUM out until the second, and,
// where pages are not all-visible, SHARE besides for as long as this takes.
LeafPages read_leaf_pages(Relation leaf);

// The second moment, under ACCESS EXCLUSIVE: true where nothing has changed.
bool same_leaf_pages(Relation leaf, const LeafPages &pages);

} // namespace privacy_scan::retention
