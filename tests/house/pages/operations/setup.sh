# What the page takes for given: a token, and a program with users.
echo "a token of at least thirty-two characters" > token
mkdir campaigns
cp -r examples/first.campaign examples/data examples/tagcast.toml campaigns/
tagcast sync --program campaigns
# Without a folder the program is the one of the place where the command is typed.
cp -r campaigns/. .
