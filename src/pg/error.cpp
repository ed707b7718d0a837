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
    const std::string &code = text.sqlstate;
    fail(MAKE_SQLSTATE(code[0], code[1], code[2], code[3], code[4]), text.message);
}

static ErrorText join(int sqlstate, const std::string &message, const std::string &detail,
                      const std::string &hint)
{
    ErrorText text{unpack(sqlstate), message};
    for (const std::string &part : {detail, hint})
        if (!part.empty())
            text.message += " (" + part + ")";
    return text;
}

ErrorText text_of(const PgError &error)
{
    return join(error.sqlstate(), error.message(), error.detail(), error.hint());
}

ErrorText text_of(const Error &error)
{
    return join(error.sqlstate, error.message, error.detail, error.hint);
}

} // namespace privacy_scan::pg
