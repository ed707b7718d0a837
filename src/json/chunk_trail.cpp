// See chunk_trail.hpp. What is read is what the index would have led to: no value's OID is given again as long as
// the index has an entry of it. A tuple that a crash left without its entry has an OID that comes again only after
// four thousand million others.
#include "json/chunk_trail.hpp"

extern "C" {
#include <access/heapam.h>
#include <access/heaptoast.h>
#include <storage/bufmgr.h>
}

namespace privacy_scan::json
{

namespace
{

constexpr std::int32_t misses_before_rest = 4;
constexpr std::int32_t values_of_rest = 64;
constexpr OffsetNumber most_tuples = 32; // of a page that is looked through
constexpr std::uint32_t slots = EXTERN_TUPLES_PER_PAGE;

// What makes a chunk of a tuple, and its place.
struct ChunkTuple {
    std::uint32_t value;
    std::int32_t number;
    const char *bytes; // null where it is none
    std::uint32_t size;
};

// Columns of a TOAST relation: oid, int4, bytea; none is ever null.
ChunkTuple chunk_of(const HeapTupleData &tuple)
{
    constexpr std::uint32_t begin = MAXALIGN(SizeofHeapTupleHeader),
                            before_bytes = begin + 2 * sizeof(std::uint32_t);
    ChunkTuple chunk{};
    if ((tuple.t_data->t_infomask & HEAP_HASNULL) || tuple.t_data->t_hoff != begin ||
        tuple.t_len < before_bytes + VARHDRSZ)
        return chunk;
    const char *data = reinterpret_cast<const char *>(tuple.t_data) + begin;
    memcpy(&chunk.value, data, sizeof chunk.value);
    memcpy(&chunk.number, data + sizeof chunk.value, sizeof chunk.number);
    const auto *bytes = reinterpret_cast<const struct varlena *>(data - begin + before_bytes);
    const bool is_plain = !VARATT_IS_EXTENDED(bytes) || VARATT_IS_SHORT(bytes);
    if (is_plain && !VARATT_IS_EXTERNAL(bytes) && VARSIZE_ANY(bytes) <= tuple.t_len - before_bytes) {
        chunk.bytes = VARDATA_ANY(bytes);
        chunk.size = static_cast<std::uint32_t>(VARSIZE_ANY_EXHDR(bytes));
    }
    return chunk;
}

std::int32_t count_chunks(const ExternalValue &value)
{
    return static_cast<std::int32_t>((value.stored_size + chunk_size() - 1) / chunk_size());
}

bool is_chunk(const ChunkTuple &chunk, const ExternalValue &value, std::int32_t number)
{
    const std::uint32_t begin = static_cast<std::uint32_t>(number) * chunk_size();
    return chunk.value == value.value && chunk.number == number && chunk.bytes &&
           chunk.size == std::min(chunk_size(), value.stored_size - begin);
}

// A page of the relation, share-locked, and what it is looked through for.
struct Search {
    Relation toast;
    Snapshot snapshot;
    const ExternalValue &value;
    std::int32_t wanted, last;
    std::uint8_t *stored;
};

// Copies what is wanted from the page. Where that is nothing: which way it would be, 1, -1, or 0 for unknown.
int search_page(ChunkTrail &trail, Search &search, BlockNumber block)
{
    const std::int32_t begun = search.wanted;
    int way = 0;
    Buffer buffer = ReadBuffer(search.toast, block);
    LockBuffer(buffer, BUFFER_LOCK_SHARE);
    Page page = BufferGetPage(buffer);
    const OffsetNumber count = PageGetMaxOffsetNumber(page);
    for (OffsetNumber at = 1; at <= std::min(count, most_tuples) && search.wanted <= search.last; ++at) {
        ItemId item = PageGetItemId(page, at);
        if (!ItemIdIsNormal(item))
            continue;
        HeapTupleData tuple;
        tuple.t_data = reinterpret_cast<HeapTupleHeader>(PageGetItem(page, item));
        tuple.t_len = ItemIdGetLength(item);
        tuple.t_tableOid = RelationGetRelid(search.toast);
        ItemPointerSet(&tuple.t_self, block, at);
        const ChunkTuple chunk = chunk_of(tuple);
        if (way == 0 && chunk.value != search.value.value)
            way = chunk.value < search.value.value ? 1 : -1;
        if (!is_chunk(chunk, search.value, search.wanted) ||
            !HeapTupleSatisfiesVisibility(&tuple, search.snapshot, buffer))
            continue;
        memcpy(search.stored + static_cast<std::size_t>(search.wanted) * chunk_size(), chunk.bytes,
               chunk.size);
        note_chunk(trail, search.value, search.wanted++, tuple.t_self);
    }
    UnlockReleaseBuffer(buffer);
    return search.wanted > begun ? 0 : way;
}

bool exists(ChunkTrail &trail, Relation toast, BlockNumber block)
{
    if (block >= trail.blocks)
        trail.blocks = RelationGetNumberOfBlocks(toast);
    return block < trail.blocks;
}

// The page on which the chunk would be if what follows the last one was written after it.
BlockNumber expected_block(const ChunkTrail &trail, const ExternalValue &value, std::int32_t chunk)
{
    const std::int32_t before = value == trail.value ? 0 : count_chunks(trail.value);
    const std::int64_t slot = std::int64_t{trail.slot} + before - trail.chunk + chunk;
    return slot < 0 ? InvalidBlockNumber : static_cast<BlockNumber>(slot / slots);
}

} // namespace

std::int32_t follow_trail(ChunkTrail &trail, Relation toast, Snapshot snapshot, const ExternalValue &value,
                          std::int32_t first, std::int32_t last, std::uint8_t *stored)
{
    if (!OidIsValid(trail.value.value) || trail.misses++ < 0)
        return first;
    Search search{toast, snapshot, value, first, last, stored};
    BlockNumber block = expected_block(trail, value, first);
    if (exists(trail, toast, block)) {
        const int way = search_page(trail, search, block);
        if (way != 0 && exists(trail, toast, block + static_cast<BlockNumber>(way)))
            search_page(trail, search, block += static_cast<BlockNumber>(way));
    }
    if (search.wanted > first)
        trail.misses = 0;
    else if (trail.misses > misses_before_rest)
        trail.misses = -values_of_rest;
    for (std::int32_t found = first; search.wanted > found && search.wanted <= last;) {
        CHECK_FOR_INTERRUPTS();
        found = search.wanted;
        if (exists(trail, toast, ++block))
            search_page(trail, search, block);
    }
    return search.wanted;
}

void note_chunk(ChunkTrail &trail, const ExternalValue &value, std::int32_t chunk, const ItemPointerData &at)
{
    const std::uint32_t within = ItemPointerGetOffsetNumberNoCheck(&at) - 1u;
    trail.value = value;
    trail.chunk = chunk;
    trail.slot = ItemPointerGetBlockNumberNoCheck(&at) * slots + std::min(within, slots - 1);
}

} // namespace privacy_scan::json
