// See error.hpp.
#include "pg/error.hpp"

extern "C" {
#include <utils/memutils.h>
}

namespace privacy_scan::pg
{

void fail(int sqlstate, std::string message, std::string detail, std::string hint)
{
    throw Error{sqlstate, std::move(message), std::move(detail), std::move(hint)};
}

void PgError::discard() const
{
    MemoryContextDelete(data_->assoc_context);
}

static std::string unpack(int sqlstate)
{
    std::string text;
    for (int i = 0; i < 5; ++i, sqlstate >>= 6)
        text += static_cast<char>(PGUNSIXBIT(sqlstate));
    return text;
}

void raise(const ErrorText &text)
{
    throw text.error;
}

ErrorText text_of(const Error &error)
{
    ErrorText text{unpack(error.sqlstate), error.message, error};
    for (const std::string &part : {error.detail, error.hint})
        if (!part.empty())
            text.message += " (" + part + ")";
    return text;
}

ErrorText text_of(const PgError &error)
{
    return text_of(Error{error.sqlstate(), error.message(), error.detail(), error.hint()});
}

} // namespace privacy_scan::pg
