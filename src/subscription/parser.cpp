#include "parser.hpp"

#include "values.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

namespace netring_asio::subscription::detail {
namespace {

constexpr auto most = std::numeric_limits<std::uint64_t>::max();

struct token {
    enum class type : std::uint8_t { end, word, text, symbol };
    type kind = type::end;
    std::size_t position = 0;
    std::string_view as_written;
    std::string text; // of texts: what is meant
};

bool is_word(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
           c == ':' || c == '/';
}

int digit(char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

class lexer {
public:
    explicit lexer(std::string_view text)
        : text_{text} {}

    token next() {
        while (at_ != text_.size() && (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\n'))
            ++at_;
        token result;
        result.position = at_;
        if (at_ == text_.size())
            return result;
        auto const begin = at_;
        char const c = text_[at_];
        if (c == '\'' || c == '"') {
            result.kind = token::type::text;
            quoted(c, result.text);
        } else if (c == '|' && (at_ + 1 == text_.size() || text_[at_ + 1] != '|')) {
            result.kind = token::type::text;
            bytes(result.text);
        } else if (is_word(c)) {
            result.kind = token::type::word;
            while (at_ != text_.size() && is_word(text_[at_]))
                ++at_;
        } else {
            result.kind = token::type::symbol;
            static constexpr std::array<std::string_view, 7> pairs{"&&", "||", "==", "!=", "<=", ">=", "!~"};
            auto const two = text_.substr(at_, 2);
            if (std::ranges::find(pairs, two) != pairs.end())
                at_ += 2;
            else if (std::string_view{"()!=<>~{},"}.find(c) != std::string_view::npos)
                ++at_;
            else
                throw problem{at_, "unexpected character"};
        }
        result.as_written = text_.substr(begin, at_ - begin);
        return result;
    }

private:
    void quoted(char quote, std::string& out) {
        auto const begin = at_++;
        for (;; ++at_) {
            if (at_ == text_.size())
                throw problem{begin, "the text has no end"};
            if (text_[at_] == quote)
                break;
            if (text_[at_] == '\\' && at_ + 1 != text_.size() && text_[at_ + 1] == quote)
                ++at_;
            out += text_[at_];
        }
        ++at_;
    }

    void bytes(std::string& out) {
        auto const begin = at_++;
        for (int high = -1;; ++at_) {
            if (at_ == text_.size())
                throw problem{begin, "the bytes have no end"};
            if (text_[at_] == ' ' && high < 0)
                continue;
            if (text_[at_] == '|' && high < 0)
                break;
            auto const value = digit(text_[at_]);
            if (value < 0)
                throw problem{at_, "expected two hexadecimal digits for each byte"};
            if (high < 0) {
                high = value;
            } else {
                out += static_cast<char>(high * 16 + value);
                high = -1;
            }
        }
        ++at_;
    }

    std::string_view text_;
    std::size_t at_ = 0;
};

class parser {
public:
    explicit parser(std::string_view text)
        : lexer_{text} {
        advance();
    }

    expression whole() {
        if (now_.kind == token::type::end)
            return expression{};
        auto result = alternatives();
        if (now_.kind != token::type::end)
            throw problem{now_.position, "expected 'and', 'or' or the end"};
        return result;
    }

private:
    void advance() { now_ = lexer_.next(); }
    bool is(std::string_view symbol) const {
        return (now_.kind == token::type::symbol || now_.kind == token::type::word) && now_.as_written == symbol;
    }
    bool accept(std::initializer_list<std::string_view> spellings) {
        if (std::ranges::none_of(spellings, [&](auto s) { return is(s); }))
            return false;
        advance();
        return true;
    }
    void expect(std::string_view symbol) {
        if (!accept({symbol}))
            throw problem{now_.position, "expected '" + std::string{symbol} + "'"};
    }

    expression alternatives() {
        auto result = all();
        while (accept({"or", "OR", "||"}))
            result = result || all();
        return result;
    }
    expression all() {
        auto result = one();
        while (accept({"and", "AND", "&&"}))
            result = result && one();
        return result;
    }
    expression one() {
        if (depth_ == expression::max_nesting)
            throw problem{now_.position, "nested too deeply"};
        ++depth_;
        expression result;
        if (accept({"not", "NOT", "!"})) {
            result = !one();
        } else if (accept({"("})) {
            result = alternatives();
            expect(")");
        } else {
            result = make_expression(condition());
        }
        --depth_;
        return result;
    }

    predicate condition() {
        if (now_.kind != token::type::word)
            throw problem{now_.position, "expected a protocol or a field"};
        auto const known = std::ranges::find(all_fields(), now_.as_written, &field_info::name);
        if (known == all_fields().end())
            throw problem{now_.position, "there is no field '" + std::string{now_.as_written} + "'"};
        predicate result;
        result.field = known->field;
        auto const begin = now_.position;
        advance();
        auto const operation = now_.position;
        auto const negated = (is("not") || is("!")) && known->type != field_type::protocol;
        if (negated)
            advance();
        auto const type = known->type;
        auto const ordered = [&](std::uint64_t beyond, auto make) {
            if (!is_ordered(type))
                throw problem{operation, "the values of this field have no order"};
            auto const at = now_.position;
            auto const what = std::get<number_range>(one_value(type));
            if (what.low != what.high)
                throw problem{at, "expected one value"};
            if (what.low == beyond)
                throw problem{at, "no value is beyond this one"};
            result.values.push_back(make(what.low));
        };
        result.how = relation::equal;
        result.negated = negated;
        if (accept({"in"})) {
            values(type, result.values);
        } else if (accept({"contains"})) {
            result.how = relation::contains;
            text_values(type, operation, result.values);
        } else if (negated) {
            throw problem{now_.position, "expected 'in' or 'contains'"};
        } else if (accept({"=", "==", "eq"})) {
            result.values.push_back(one_value(type));
        } else if (accept({"!=", "ne"})) {
            result.negated = true;
            result.values.push_back(one_value(type));
        } else if (accept({"<", "lt"})) {
            ordered(0, [](auto n) { return number_range{0, n - 1}; });
        } else if (accept({"<=", "le"})) {
            ordered(most, [](auto n) { return number_range{0, n}; });
        } else if (accept({">", "gt"})) {
            ordered(most, [](auto n) { return number_range{n + 1, most}; });
        } else if (accept({">=", "ge"})) {
            ordered(most, [](auto n) { return number_range{n, most}; });
        } else if (is("~") || is("matches") || is("!~")) {
            result.how = relation::matches;
            result.negated = is("!~");
            advance();
            auto const at = now_.position;
            text_values(type, operation, result.values);
            if (result.values.size() != 1)
                throw problem{at, "expected one regular expression"};
            if (auto const wrong = compile(result); !wrong.empty())
                throw problem{at, wrong};
        } else {
            result.how = relation::present;
            if (known->stage == stage::connection)
                throw problem{begin, "every connection has this field; expected an operator behind it"};
        }
        return result;
    }

    value one_value(field_type type) {
        value result;
        if (type == field_type::protocol)
            throw problem{now_.position, "a protocol has no value"};
        if (is_text(type) && now_.kind == token::type::text) {
            result = now_.text;
        } else if (now_.kind != token::type::word) {
            throw problem{now_.position, is_text(type) ? "expected a text in quotes" : "expected a value"};
        } else if (auto wrong = read_value(type, now_.as_written, result); !wrong.empty()) {
            throw problem{now_.position, std::move(wrong)};
        }
        advance();
        return result;
    }

    void values(field_type type, std::vector<value>& out) {
        if (!accept({"{"}))
            return out.push_back(one_value(type));
        do
            out.push_back(one_value(type));
        while (accept({","}));
        expect("}");
    }

    void text_values(field_type type, std::size_t operation, std::vector<value>& out) {
        if (!is_text(type))
            throw problem{operation, "only texts and bytes can be searched"};
        values(type, out);
    }

    lexer lexer_;
    token now_;
    std::size_t depth_ = 0;
};

} // namespace

expression read_expression(std::string_view text) {
    if (text.size() > max_text)
        throw problem{max_text, "the expression is too long"};
    return parser{text}.whole();
}

} // namespace netring_asio::subscription::detail
