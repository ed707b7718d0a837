// See document.hpp. The buffers live as long as the transaction. Within it a TOAST pointer names one value:
// its OID could come again only after four thousand million others.
#include "json/document.hpp"

#include "json/decoder.hpp"
#include "json/jsonb_layout.hpp"
#include "json/toast_chunks.hpp"

extern "C" {
#include <access/xact.h>
#include <utils/memutils.h>
}

namespace privacy_scan::json
{

namespace
{

constexpr std::uint32_t most_kept = 4;         // documents
constexpr std::uint32_t most_compared = 16384; // bytes of a compressed datum that is recognized by its bytes
constexpr std::uint32_t most_at_once = 16 << 20; // bytes decoded between two looks for an interrupt
constexpr std::size_t large_buffer = 4 << 20;    // is given back when it is far too large for what follows
constexpr std::int32_t unshared_before_rest = 4; // documents that were kept for nobody,
constexpr std::int32_t documents_of_rest = 64;   // and how many are then not kept
constexpr std::uint32_t tcinfo_size = 4;         // what a compressed varlena has behind its header

struct Buffer {
    std::uint8_t *bytes;
    std::size_t capacity;
};

enum class Form : std::uint8_t { none, compressed, external_raw, external_compressed };

// One document that is kept, or a place for one.
struct Stored {
    ByteSource source; // first: fetch functions get its address
    Form form;         // none while it is empty or being changed: an error may come from anywhere in between
    ExternalValue external;
    MemoryContext query;   // external: of the call that reads it now
    TimestampTz statement; // in which it was opened
    std::uint64_t last_use;
    std::int32_t unshared;   // compressed: in a row, that nobody looked at again; negative: none is kept
    std::uint32_t fetched;   // compressed: [0, fetched) of what is stored is in `stored`
    std::uint32_t last_read; // external_raw: the end of what was read
    double share;            // external: of what was stored, how much the document before it took; at most 1
    std::uint32_t wanted;    // compressed: how far it is read, or, before that, the document before it
    Decoded (*decode)(Decoding &, std::uint32_t);
    Decoding decoding;
    Buffer stored;  // compressed: what is stored
    Buffer decoded; // the document
    Buffer chunks;  // external_raw: a byte per chunk, 1 where it is in `decoded`
};

struct Kept {
    MemoryContext context;
    std::uint64_t uses;
    Stored places[most_kept];
};

Kept *kept; // of this transaction; null where nothing was read yet

void forget(void *)
{
    kept = nullptr;
}

void remember_transaction()
{
    MemoryContext context =
        AllocSetContextCreate(TopTransactionContext, "privacy_scan documents", ALLOCSET_DEFAULT_SIZES);
    auto *fresh = static_cast<Kept *>(MemoryContextAllocZero(context, sizeof(Kept)));
    auto *callback =
        static_cast<MemoryContextCallback *>(MemoryContextAllocZero(context, sizeof(MemoryContextCallback)));
    fresh->context = context;
    callback->func = forget;
    MemoryContextRegisterResetCallback(context, callback);
    kept = fresh;
}

// Room for so many bytes; what was in it is lost.
void reserve(Buffer &buffer, std::size_t size)
{
    const bool too_large = buffer.capacity > large_buffer && buffer.capacity / 8 > size;
    if (buffer.capacity >= size && !too_large)
        return;
    if (buffer.bytes)
        pfree(buffer.bytes);
    buffer = {};
    const std::size_t capacity = std::max<std::size_t>(size + std::min<std::size_t>(size / 4, 1 << 20), 8192);
    buffer.bytes = static_cast<std::uint8_t *>(MemoryContextAllocHuge(kept->context, capacity));
    buffer.capacity = capacity;
}

// --- compressed -----------------------------------------------------------------------------------

// More of an external value's stored bytes, up to `until` at least.
void fetch_until(Stored &document, std::uint32_t until)
{
    const std::uint32_t chunk = chunk_size(), size = document.external.stored_size;
    until = until > size - std::min(size, chunk) ? size : (until + chunk - 1) / chunk * chunk;
    if (until <= document.fetched)
        return;
    fetch_chunks(document.query, document.external, document.fetched, until, document.stored.bytes);
    document.fetched = until;
    document.decoding.source_ready = until - tcinfo_size;
}

// As far as the last row went, if its document took more than the beginning.
void fetch_first(Stored &document)
{
    const std::uint32_t chunk = chunk_size(), size = document.external.stored_size;
    const auto expected = static_cast<std::uint32_t>(document.share * size);
    fetch_until(document, size <= 2 * chunk ? size : std::max(expected, chunk));
}

// Where the source has run out: as much more as what was decoded so far took, and an eighth on top.
void fetch_more(Stored &document, std::uint32_t wanted)
{
    const Decoding &state = document.decoding;
    const double rate = state.output_done ? 1.125 * state.source_done / state.output_done : 1.0;
    const double estimate = state.source_done + rate * (wanted - state.output_done) + tcinfo_size;
    const std::uint32_t size = document.external.stored_size;
    fetch_until(document, static_cast<std::uint32_t>(
                              std::min<double>(size, std::max<double>(estimate, document.fetched + 1.0))));
}

bool decode_until(Stored &document, std::uint32_t wanted)
{
    for (;;) {
        const std::uint32_t target = std::min(wanted, document.decoding.output_done + most_at_once);
        const Decoded decoded = document.decode(document.decoding, target);
        if (decoded == Decoded::damaged)
            return false;
        if (decoded == Decoded::needs_more)
            fetch_more(document, wanted);
        else if (target == wanted)
            return true;
        CHECK_FOR_INTERRUPTS();
    }
}

bool fetch_compressed(ByteSource *source, std::uint32_t offset, std::uint32_t length)
{
    Stored &document = *reinterpret_cast<Stored *>(source);
    const Form form = std::exchange(document.form, Form::none);
    const std::uint32_t end = offset + length, size = document.source.size;
    // Where the document before was read to its end, in one go: that is what liblz4 is quickest at.
    const bool is_late = document.decoding.output_done == 0 && document.wanted > size / 2;
    if (!decode_until(document, is_late ? std::max(end, std::min(document.wanted, size)) : end))
        return false;
    document.wanted = end;
    document.source.ready = std::min(document.decoding.output_done, end + size / 16);
    document.form = form;
    return true;
}

// Sets a decoder to work on the buffers. False where the method is unknown.
bool begin_decoding(Stored &document, std::uint32_t method, std::uint32_t raw_size,
                    const std::uint8_t *source, std::uint32_t source_size)
{
    if (method > 1)
        return false;
    document.decode = method == 0 ? decode_pglz : decode_lz4;
    reserve(document.decoded, raw_size + decoder_slack);
    document.decoding = {};
    document.decoding.source = source;
    document.decoding.source_size = source_size;
    document.decoding.output = document.decoded.bytes;
    document.decoding.output_size = raw_size;
    document.source = {document.decoded.bytes, 0, raw_size, fetch_compressed};
    return true;
}

// --- external and plain ---------------------------------------------------------------------------

// Fetches what is missing of the chunks [first, last).
void fetch_missing(Stored &document, std::uint32_t first, std::uint32_t last)
{
    const std::uint32_t chunk = chunk_size();
    while (first < last) {
        if (document.chunks.bytes[first]) {
            ++first;
            continue;
        }
        std::uint32_t until = first;
        while (until < last && !document.chunks.bytes[until])
            ++until;
        fetch_chunks(document.query, document.external, first * chunk,
                     std::min(until * chunk, document.source.size), document.decoded.bytes);
        memset(document.chunks.bytes + first, 1, until - first);
        first = until;
    }
}

void note_ready(Stored &document)
{
    const std::uint32_t chunk = chunk_size(), size = document.source.size;
    std::uint32_t ready = document.source.ready / chunk;
    while (ready * chunk < size && document.chunks.bytes[ready])
        ++ready;
    document.source.ready = std::min(ready * chunk, size);
}

bool fetch_raw(ByteSource *source, std::uint32_t offset, std::uint32_t length)
{
    Stored &document = *reinterpret_cast<Stored *>(source);
    const std::uint32_t chunk = chunk_size(), size = document.source.size;
    const std::uint32_t count = (size + chunk - 1) / chunk;
    const std::uint32_t end = offset + std::max<std::uint32_t>(length, 1);
    document.form = Form::none;
    fetch_missing(document, offset / chunk, std::min((end + chunk - 1) / chunk, count));
    note_ready(document);
    document.last_read = std::max(document.last_read, end);
    document.form = Form::external_raw;
    return true;
}

// All of a small one; and all up to where the last row's value was, where that is near: another scan costs as
// much as some more chunks.
void fetch_first_raw(Stored &document, std::uint32_t count)
{
    constexpr std::uint32_t near = 6;
    const auto expected =
        static_cast<std::uint32_t>(document.share * document.source.size) / chunk_size() + 1;
    if (count <= 2)
        fetch_missing(document, 0, count);
    else if (expected > 1 && expected <= near)
        fetch_missing(document, 0, std::min(expected, count));
    note_ready(document);
}

// --- opening --------------------------------------------------------------------------------------

// Notes how much of the document before was read: the next one of its kind is fetched accordingly.
void note_share(Stored &document)
{
    std::uint64_t used = document.last_read;
    if (document.form == Form::external_compressed)
        used = std::uint64_t{document.decoding.source_done} + tcinfo_size;
    if (document.form >= Form::external_raw)
        document.share =
            used <= chunk_size()
                ? 0
                : std::min(1.0, 1.03 * static_cast<double>(used) / document.external.stored_size);
}

ByteSource *use(Stored &document, const DocumentSite &site)
{
    document.query = site.query;
    document.last_use = ++kept->uses;
    return &document.source;
}

Stored *find_external(const ExternalValue &value, DocumentSite &site)
{
    const TimestampTz statement = GetCurrentStatementStartTimestamp();
    for (std::uint32_t i = 0; i < most_kept; ++i) {
        Stored &document = kept->places[i];
        if (document.form >= Form::external_raw && document.external == value &&
            document.statement == statement) {
            site.place = i + 1;
            return &document;
        }
    }
    return nullptr;
}

Stored *find_compressed(const struct varlena *datum, std::uint32_t size, DocumentSite &site)
{
    for (std::uint32_t i = 0; i < most_kept; ++i) {
        Stored &document = kept->places[i];
        if (document.form == Form::compressed && document.fetched == size &&
            memcmp(document.stored.bytes, datum, size) == 0) {
            document.unshared = 0;
            site.place = i + 1;
            return &document;
        }
    }
    return nullptr;
}

// The place for this site's next document: that of its last one, or the one that was not used for longest.
Stored &place_for(DocumentSite &site)
{
    if (site.place == 0) {
        std::uint32_t oldest = 0;
        for (std::uint32_t i = 1; i < most_kept; ++i)
            if (kept->places[i].last_use < kept->places[oldest].last_use)
                oldest = i;
        site.place = oldest + 1;
    }
    Stored &document = kept->places[site.place - 1];
    note_share(document);
    document.form = Form::none;
    return document;
}

ByteSource *open_external(const struct varlena *datum, DocumentSite &site)
{
    const ExternalValue value = external_value(datum);
    if (value.stored_size > value.raw_size || !AllocSizeIsValid(value.raw_size))
        return nullptr;
    if (Stored *document = find_external(value, site))
        return use(*document, site);
    Stored &document = place_for(site);
    document.external = value;
    document.query = site.query;
    document.statement = GetCurrentStatementStartTimestamp();
    document.fetched = document.last_read = 0;
    if (value.is_compressed) {
        reserve(document.stored, value.stored_size);
        fetch_first(document);
        const std::uint32_t method = load_word(document.stored.bytes) >> 30;
        if (value.stored_size <= tcinfo_size ||
            !begin_decoding(document, method, value.raw_size, document.stored.bytes + tcinfo_size,
                            value.stored_size - tcinfo_size))
            return nullptr;
        document.decoding.source_ready = document.fetched - tcinfo_size;
        document.form = Form::external_compressed;
        return use(document, site);
    }
    const std::uint32_t chunk = chunk_size(), count = (value.raw_size + chunk - 1) / chunk;
    reserve(document.decoded, value.raw_size);
    reserve(document.chunks, count);
    memset(document.chunks.bytes, 0, count);
    document.source = {document.decoded.bytes, 0, value.raw_size, fetch_raw};
    fetch_first_raw(document, count);
    document.form = Form::external_raw;
    return use(document, site);
}

// A compressed datum is copied to be recognized, which pays where several calls read one document.
bool is_worth_keeping(Stored &document)
{
    if (document.unshared++ < 0)
        return false;
    if (document.unshared > unshared_before_rest)
        document.unshared = -documents_of_rest;
    return true;
}

ByteSource *open_compressed(const struct varlena *datum, DocumentSite &site)
{
    const std::uint32_t size = VARSIZE(datum);
    if (size > most_compared || size <= VARHDRSZ + tcinfo_size)
        return nullptr;
    if (Stored *document = find_compressed(datum, size, site))
        return use(*document, site);
    Stored &document = place_for(site);
    const bool is_kept = is_worth_keeping(document);
    const auto *bytes = reinterpret_cast<const std::uint8_t *>(datum);
    if (is_kept) {
        reserve(document.stored, size);
        memcpy(document.stored.bytes, datum, size);
        bytes = document.stored.bytes;
    }
    document.fetched = size;
    const std::uint32_t info = load_word(bytes + VARHDRSZ);
    if (!begin_decoding(document, info >> 30, info & 0x3FFFFFFF, bytes + VARHDRSZ + tcinfo_size,
                        size - VARHDRSZ - tcinfo_size))
        return nullptr;
    document.decoding.source_ready = document.decoding.source_size;
    document.form = is_kept ? Form::compressed : Form::none;
    return use(document, site);
}

} // namespace

ByteSource *open_stored(const struct varlena *datum, DocumentSite &site, ByteSource &plain)
{
    if (!kept)
        remember_transaction();
    ByteSource *source = nullptr;
    if (VARATT_IS_EXTERNAL_ONDISK(datum))
        source = open_external(datum, site);
    else if (VARATT_IS_COMPRESSED(datum))
        source = open_compressed(datum, site);
    if (source)
        return source;
    // In the ordinary way: expanded and indirect ones, methods that are not known here.
    const struct varlena *whole = pg_detoast_datum_packed(const_cast<struct varlena *>(datum));
    plain.bytes = reinterpret_cast<const std::uint8_t *>(VARDATA_ANY(whole));
    plain.size = plain.ready = VARSIZE_ANY_EXHDR(whole);
    return &plain;
}

void report_damage()
{
    ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED), errmsg("jsonb document is damaged"),
                    errdetail("Its stored bytes cannot have been written by PostgreSQL.")));
    pg_unreachable();
}

} // namespace privacy_scan::json
