#include <cerrno>
#include <csignal>
#include <lab/process.hpp>
#include <stdexcept>
#include <system_error>
#include <thread>
#include <utility>

#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace lab {

namespace {

int memory_file(char const* name, std::string const& content) {
    int const file = ::memfd_create(name, MFD_CLOEXEC);
    if (file < 0 || ::pwrite(file, content.data(), content.size(), 0) != static_cast<ssize_t>(content.size()))
        throw std::system_error{errno, std::generic_category(), "memfd_create"};
    return file;
}

} // namespace

process::process(int network_namespace, std::vector<std::string> arguments, std::string const& input)
    : arguments_{std::move(arguments)}
    , output_{memory_file("output", {})} {
    int const in = memory_file("input", input);
    std::vector<char*> argv;
    for (auto& argument : arguments_)
        argv.push_back(argument.data());
    argv.push_back(nullptr);
    int failure[2];
    if (::pipe2(failure, O_CLOEXEC) != 0)
        throw std::system_error{errno, std::generic_category(), "pipe2"};

    id_ = ::fork();
    if (id_ == 0) {
        // Only calls that are safe between fork and exec in a program with threads.
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        ::setpgid(0, 0);                              // so that a shell's children are stopped with it
        for (int signal : {SIGINT, SIGTERM, SIGPIPE}) // whatever the caller of the test ignores
            ::signal(signal, SIG_DFL);
        sigset_t none;
        sigemptyset(&none);
        ::sigprocmask(SIG_SETMASK, &none, nullptr);
        if (::setns(network_namespace, CLONE_NEWNET) == 0 && ::dup2(in, STDIN_FILENO) >= 0 &&
            ::dup2(output_, STDOUT_FILENO) >= 0 && ::dup2(output_, STDERR_FILENO) >= 0)
            ::execvp(argv[0], argv.data());
        int const error = errno;
        (void)!::write(failure[1], &error, sizeof error);
        ::_exit(127);
    }
    ::close(failure[1]);
    ::close(in);
    int error = id_ < 0 ? errno : 0;
    bool const failed = id_ < 0 || ::read(failure[0], &error, sizeof error) == sizeof error;
    ::close(failure[0]);
    if (failed) {
        if (id_ > 0)
            wait();
        ::close(output_);
        throw std::system_error{error, std::generic_category(), arguments_[0]};
    }
}

process::process(process&& other) noexcept
    : arguments_{std::move(other.arguments_)}
    , id_{std::exchange(other.id_, -1)}
    , output_{std::exchange(other.output_, -1)}
    , status_{other.status_} {}

process::~process() {
    if (id_ > 0)
        stop();
    if (output_ >= 0)
        ::close(output_);
}

int process::wait() {
    int status = 0;
    if (id_ > 0) {
        while (::waitpid(id_, &status, 0) < 0 && errno == EINTR) {
        }
        id_ = -1;
        status_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }
    return status_;
}

bool process::wait_for(std::chrono::milliseconds limit) {
    auto const end = std::chrono::steady_clock::now() + limit;
    while (id_ > 0) {
        siginfo_t info{};
        ::waitid(P_PID, static_cast<id_t>(id_), &info, WEXITED | WNOHANG | WNOWAIT);
        if (info.si_pid != 0) {
            wait();
            break;
        }
        if (std::chrono::steady_clock::now() >= end)
            return false;
        std::this_thread::sleep_for(std::chrono::milliseconds{2});
    }
    return true;
}

int process::stop() {
    if (id_ > 0) {
        ::kill(-id_, SIGINT);
        if (!wait_for(std::chrono::seconds{2}))
            ::kill(-id_, SIGKILL);
    }
    return wait();
}

std::string process::output() const {
    std::string text(65536, '\0');
    ssize_t size = 0;
    std::size_t total = 0;
    while ((size = ::pread(output_, text.data() + total, text.size() - total, static_cast<off_t>(total))) > 0) {
        total += static_cast<std::size_t>(size);
        text.resize(total + 65536);
    }
    text.resize(total);
    return text;
}

bool process::wait_for_output(std::string const& text, std::chrono::milliseconds limit) const {
    auto const end = std::chrono::steady_clock::now() + limit;
    while (output().find(text) == std::string::npos) {
        if (std::chrono::steady_clock::now() >= end)
            return false;
        std::this_thread::sleep_for(std::chrono::milliseconds{5});
    }
    return true;
}

} // namespace lab
