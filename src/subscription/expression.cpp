#include "parser.hpp"
#include "pattern.hpp"
#include "values.hpp"
#include <netring_asio/subscription/expression.hpp>
#include <netring_asio/subscription/fields.hpp>

#include <algorithm>
#include <ostream>

namespace netring_asio::subscription {
namespace detail {
namespace {

node_ptr const& everything() {
    static node_ptr const instance = std::make_shared<node>();
    return instance;
}

// Chains of the same operator lie side by side, so that only real nesting is deep.
node_ptr join(node_kind kind, node_ptr const& a, node_ptr const& b) {
    node result;
    result.kind = kind;
    for (auto const& part : {a, b})
        if (part->kind == kind)
            result.children.insert(result.children.end(), part->children.begin(), part->children.end());
        else
            result.children.push_back(part);
    std::uint8_t deepest = 0;
    for (auto const& child : result.children)
        deepest = std::max(deepest, child->depth);
    if (deepest > 2 * expression::max_nesting)
        throw system_error{error::bad_expression, "nested too deeply"};
    result.depth = static_cast<std::uint8_t>(deepest + 1);
    return std::make_shared<node>(std::move(result));
}

void print(std::string& out, predicate const& p) {
    auto const& about = info(p.field);
    out += about.name;
    if (p.how == relation::present)
        return;
    if (p.how == relation::matches)
        out += p.negated ? " !~ " : " ~ ";
    else
        out += std::string{p.negated ? " not" : ""} + (p.how == relation::contains ? " contains {" : " in {");
    for (auto const* separator = ""; auto const& v : p.values) {
        out += separator + print_value(about.type, v);
        separator = ", ";
    }
    if (p.how != relation::matches)
        out += '}';
}

void print(std::string& out, node const& n) {
    auto const inner = [&](node const& child) {
        bool const simple = child.kind == node_kind::predicate || child.kind == node_kind::negation;
        out += simple ? "" : "(";
        print(out, child);
        out += simple ? "" : ")";
    };
    switch (n.kind) {
    case node_kind::everything:
        break;
    case node_kind::predicate:
        print(out, n.what);
        break;
    case node_kind::negation:
        out += "not ";
        inner(*n.children.front());
        break;
    case node_kind::conjunction:
    case node_kind::disjunction:
        for (auto const* separator = ""; auto const& child : n.children) {
            out += separator;
            inner(*child);
            separator = n.kind == node_kind::conjunction ? " and " : " or ";
        }
        break;
    }
}

} // namespace

std::string compile(predicate& what) {
    auto const compiled = std::make_shared<pattern>(std::get<std::string>(what.values.front()));
    if (!compiled->ok())
        return "the regular expression is wrong: " + compiled->problem();
    what.regular = compiled;
    return {};
}

expression make_expression(predicate what) {
    if (what.how == relation::matches && !what.regular)
        if (auto const wrong = compile(what); !wrong.empty())
            throw system_error{error::bad_expression, wrong};
    node result;
    result.kind = node_kind::predicate;
    result.what = std::move(what);
    return expression{std::make_shared<node>(std::move(result))};
}

} // namespace detail

std::vector<detail::value> fields::detail::addresses(field id, std::initializer_list<std::string_view> texts) {
    std::vector<value> result;
    for (auto const text : texts)
        if (auto const wrong = read_value(info(id).type, text, result.emplace_back()); !wrong.empty())
            throw system_error{error::bad_expression, "'" + std::string{text} + "': " + wrong};
    return result;
}

expression::expression()
    : root_{detail::everything()} {}

expression::expression(detail::node_ptr root)
    : root_{std::move(root)} {}

expression::expression(std::string_view text) {
    try {
        *this = detail::read_expression(text);
    } catch (problem const& found) {
        throw system_error{error::bad_expression, "'" + std::string{text} + "', character " +
                                                      std::to_string(found.position + 1) + ": " + found.message};
    }
}

expression expression::parse(std::string_view text, error_code& error, problem* found) {
    error = {};
    if (found != nullptr)
        *found = {};
    try {
        return detail::read_expression(text);
    } catch (problem const& what) {
        error = netring_asio::error::bad_expression;
        if (found != nullptr)
            *found = what;
    } catch (system_error const& what) {
        error = what.code();
        if (found != nullptr)
            found->message = what.what();
    }
    return {};
}

expression operator&&(expression const& a, expression const& b) {
    if (a.is_everything() || b.is_everything())
        return a.is_everything() ? b : a;
    return expression{detail::join(detail::node_kind::conjunction, a.root_, b.root_)};
}

expression operator||(expression const& a, expression const& b) {
    if (a.is_everything() || b.is_everything())
        return expression{};
    return expression{detail::join(detail::node_kind::disjunction, a.root_, b.root_)};
}

expression operator!(expression const& a) {
    if (a.root_->kind == detail::node_kind::negation)
        return expression{a.root_->children.front()};
    detail::node result;
    result.kind = detail::node_kind::negation;
    result.children.push_back(a.root_);
    result.depth = static_cast<std::uint8_t>(a.root_->depth + 1);
    return expression{std::make_shared<detail::node>(std::move(result))};
}

std::string to_string(expression const& value) {
    std::string result;
    detail::print(result, *value.root_);
    return result;
}

std::ostream& operator<<(std::ostream& out, expression const& value) { return out << to_string(value); }

} // namespace netring_asio::subscription
