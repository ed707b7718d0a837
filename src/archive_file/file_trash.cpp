// See file_trash.hpp. At the end of a transaction nothing may fail: all there is plain memory and POSIX. Before a PREPARE
// something may.
#include "pg/postgres.hpp"

#include "archive_file/file_trash.hpp"

#include "archive_file/file_stream.hpp"
#include "pg/owner.hpp"
#include "pg/subxact.hpp"
#include "settings/settings.hpp"

extern "C" {
#include <access/xact.h>
#include <miscadmin.h>
#include <utils/memutils.h>
}

namespace privacy_scan::archive_file
{

namespace
{

// In the transaction's memory.
struct Doomed {
    Doomed *next;
    SubTransactionId in;
    Ending ending;
    bool is_void; // of a subtransaction that ended the other way
    char *directory, *name;
};

Doomed *first = nullptr;
bool is_following = false;

void remove_now(const Doomed &file) noexcept
{
    try {
        const Descriptor directory = open_private_directory(file.directory, DataDir);
        remove_file(directory.get(), file.name);
    } catch (...) { // the trash still knows it
    }
}

// COMMIT PREPARED and ROLLBACK PREPARED may come from another session, and call nobody back: what was erased would stay in
// its file.
void refuse_prepare()
{
    for (const Doomed *file = first; file; file = file->next)
        if (!file->is_void)
            ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                            errmsg("cannot PREPARE a transaction that has written or replaced archive files"),
                            errdetail("Files are removed at the end of the session's own transaction."),
                            errhint("End the transaction with COMMIT or ROLLBACK.")));
}

void at_end(XactEvent event, void *)
{
    if (event == XACT_EVENT_PRE_PREPARE)
        refuse_prepare();
    if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT && event != XACT_EVENT_PREPARE)
        return;
    const Ending ending = event == XACT_EVENT_COMMIT ? Ending::commit : Ending::abort;
    for (const Doomed *file = first; file && event != XACT_EVENT_PREPARE; file = file->next)
        if (file->ending == ending && !file->is_void)
            remove_now(*file);
    first = nullptr;
}

void at_sub_end(SubXactEvent event, SubTransactionId id, SubTransactionId parent, void *)
{
    if (event != SUBXACT_EVENT_COMMIT_SUB && event != SUBXACT_EVENT_ABORT_SUB)
        return;
    for (Doomed *file = first; file; file = file->next) {
        if (file->in != id || file->is_void)
            continue;
        file->in = parent;
        file->is_void = event == SUBXACT_EVENT_ABORT_SUB;
        if (file->is_void && file->ending == Ending::abort)
            remove_now(*file);
    }
}

} // namespace

void remove_file_with(Ending ending, const std::string &name)
{
    const char *directory = settings::archive_directory(), *text = name.c_str();
    pg::guarded([=] {
        if (!is_following) {
            RegisterXactCallback(at_end, nullptr);
            RegisterSubXactCallback(at_sub_end, nullptr);
            is_following = true;
        }
        auto *file = static_cast<Doomed *>(MemoryContextAlloc(TopTransactionContext, sizeof(Doomed)));
        *file = {first,
                 GetCurrentSubTransactionId(),
                 ending,
                 false,
                 MemoryContextStrdup(TopTransactionContext, directory),
                 MemoryContextStrdup(TopTransactionContext, text)};
        first = file;
    });
}

void trash_file(pg::Spi &spi, const std::string &name)
{
    pg::CatalogScope scope;
    spi.run("INSERT INTO privacy_scan.archive_file_trash (file) VALUES ($1) ON CONFLICT DO NOTHING",
            {pg::text_param(name)});
    remove_file_with(Ending::commit, name);
}

namespace
{

// Of transactions that have committed; one's own may still be rolled back.
std::vector<std::string> left_in_trash(pg::Spi &spi)
{
    pg::CatalogScope scope;
    pg::Rows rows = spi.run("SELECT file FROM privacy_scan.archive_file_trash"
                            " WHERE xact IS DISTINCT FROM pg_current_xact_id_if_assigned()::text");
    std::vector<std::string> names;
    for (std::size_t row = 0; row < rows.size(); ++row)
        names.push_back(rows.text(row, 1));
    return names;
}

void remove_left(pg::Spi &spi, const std::string &name)
{
    with_sql_errors([&] { remove_file(open_archive_directory().get(), name); });
    pg::CatalogScope scope;
    spi.run("DELETE FROM privacy_scan.archive_file_trash WHERE file = $1", {pg::text_param(name)});
}

} // namespace

void empty_trash(pg::Spi &spi)
{
    for (const std::string &name : left_in_trash(spi)) {
        const auto failure = pg::try_in_subtransaction([&] { remove_left(spi, name); });
        if (failure)
            pg::guarded([file = name.c_str(), why = failure->message.c_str()] {
                ereport(WARNING,
                        (errmsg("archive file \"%s\", which holds erased rows, is still there", file),
                         errdetail("%s.", why)));
            });
    }
}

} // namespace privacy_scan::archive_file
