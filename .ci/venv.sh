# Debian keeps Python's venv module in a package of its own. Install it when we may; say so when we may not.
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "Installing Python's venv module (python3-venv)"
    apt-get update -qq && apt-get install -y -qq python3-venv >/dev/null
else
    echo "Python's venv module is missing. On Debian: sudo apt-get install python3-venv" >&2
    exit 1
fi
