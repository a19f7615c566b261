#pragma once

#include <chrono>
#include <string>
#include <vector>

#include <sys/types.h>

namespace lab {

/// A program that a test started. It dies with the thread that started it, also when that is killed.
class process {
public:
    /// Starts `arguments[0]`, found along PATH, in the network namespace given by a descriptor.
    /// Standard output and error are kept; standard input is `input`. Throws if there is no such program.
    process(int network_namespace, std::vector<std::string> arguments, std::string const& input = {});
    process(process&& other) noexcept;
    process& operator=(process&&) = delete;
    ~process();

    pid_t id() const noexcept { return id_; }
    /// Waits for the end and returns the exit status, or 128 + signal as a shell does.
    int wait();
    /// Waits at most `limit`; true if it ended.
    bool wait_for(std::chrono::milliseconds limit);
    /// Asks it to end as Ctrl-C does, insists after two seconds, and returns the exit status as `wait` does.
    int stop();
    /// What it printed until now.
    std::string output() const;
    /// Waits until it printed `text`; false after `limit`.
    bool wait_for_output(std::string const& text, std::chrono::milliseconds limit) const;

private:
    std::vector<std::string> arguments_;
    pid_t id_;
    int output_;
    int status_ = -1;
};

} // namespace lab
