// Parses T-SQL statements with Microsoft's own parsers and prints what it saw, one JSON object a line.
// It knows the grammar only: whether objects, columns and functions exist is for the table in dmv.json to say.
// Input on stdin: one line a statement, "NAME SQL", both base64. `check` is what people call.
using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Text;
using Microsoft.SqlServer.TransactSql.ScriptDom;

static class Check
{
    static readonly KeyValuePair<string, TSqlParser>[] Parsers =
    {
        new KeyValuePair<string, TSqlParser>("2014", new TSql120Parser(true)),
        new KeyValuePair<string, TSqlParser>("2016", new TSql130Parser(true)),
        new KeyValuePair<string, TSqlParser>("2017", new TSql140Parser(true)),
        new KeyValuePair<string, TSqlParser>("2019", new TSql150Parser(true)),
    };

    static string Text(string s)
    {
        var o = new StringBuilder("\"");
        foreach (char c in s)
        {
            if (c == '"' || c == '\\') o.Append('\\').Append(c);
            else if (c < ' ' || c > '~') o.Append("\\u").Append(((int)c).ToString("x4"));
            else o.Append(c);
        }
        return o.Append('"').ToString();
    }

    static string List(IEnumerable<string> json) { return "[" + string.Join(",", json) + "]"; }

    static string Texts(IEnumerable<string> texts) { return List(texts.Select(Text)); }

    static void Main()
    {
        string line;
        while ((line = Console.In.ReadLine()) != null)
        {
            string[] parts = line.Split(' ').Select(p => Encoding.UTF8.GetString(Convert.FromBase64String(p))).ToArray();
            var errors = new List<string>();
            TSqlFragment newest = null;
            foreach (var parser in Parsers)
            {
                IList<ParseError> found;
                newest = parser.Value.Parse(new StringReader(parts[1]), out found);
                errors.Add(Text(parser.Key) + ":" + List(found.Select(e =>
                    "{\"line\":" + e.Line + ",\"column\":" + e.Column + ",\"message\":" + Text(e.Message) + "}")));
            }
            var seen = new Seen();
            if (newest != null) newest.Accept(seen);
            Console.WriteLine("{\"name\":" + Text(parts[0]) + ",\"errors\":{" + string.Join(",", errors) + "}"
                + ",\"statements\":" + Texts(seen.Statements) + ",\"refused\":" + Texts(seen.Refused)
                + ",\"objects\":" + List(seen.Objects.Distinct()) + ",\"columns\":" + List(seen.Columns.Distinct())
                + ",\"functions\":" + List(seen.Functions.Distinct()) + ",\"procedures\":" + List(seen.Procedures.Distinct())
                + ",\"ctes\":" + Texts(seen.Ctes.Distinct()) + ",\"derived\":" + Texts(seen.Derived.Distinct())
                + ",\"column_aliases\":" + Texts(seen.ColumnAliases.Distinct())
                + ",\"result_columns\":" + List(seen.ResultColumns) + "}");
        }
    }

    class Seen : TSqlFragmentVisitor
    {
        // The only procedures that may be executed: by version, one of them reads the error log.
        static readonly string[] Readers = { "sp_readerrorlog", "xp_readerrorlog" };

        // What the exporter may send: it reads. Whatever is not in this list is refused, EXEC but for one procedure too.
        static readonly HashSet<string> Accepted = new HashSet<string>
        {
            "SelectStatement", "DeclareVariableStatement", "SetVariableStatement", "PredicateSetStatement", "SetCommandStatement",
            "SetTransactionIsolationLevelStatement", "SetRowCountStatement", "SetTextSizeStatement", "ExecuteStatement",
        };
        public readonly List<string> Statements = new List<string>(), Refused = new List<string>(), Objects = new List<string>(),
            Columns = new List<string>(), Functions = new List<string>(), Procedures = new List<string>(), Ctes = new List<string>(),
            Derived = new List<string>(), ColumnAliases = new List<string>(), ResultColumns = new List<string>();

        static IEnumerable<string> Parts(MultiPartIdentifier name) { return name.Identifiers.Select(i => i.Value); }

        static string Arguments(IEnumerable<ScalarExpression> arguments)
        {
            return List(arguments.Select(a => a is StringLiteral ? Text(((StringLiteral)a).Value) : "null"));
        }

        void Object(MultiPartIdentifier name, Identifier alias, string kind)
        {
            Objects.Add("{\"name\":" + Texts(Parts(name)) + ",\"alias\":" + (alias == null ? "null" : Text(alias.Value))
                + ",\"kind\":" + Text(kind) + "}");
        }

        public override void Visit(TSqlStatement node)
        {
            string kind = node.GetType().Name;
            Statements.Add(kind);
            if (!Accepted.Contains(kind)) Refused.Add(kind);
        }

        public override void Visit(SelectStatement node)
        {
            if (node.Into != null) Refused.Add("SelectStatement INTO " + string.Join(".", Parts(node.Into)));
            for (var q = node.QueryExpression; q != null;)
            {
                if (q is QueryParenthesisExpression) q = ((QueryParenthesisExpression)q).QueryExpression;
                else if (q is BinaryQueryExpression) q = ((BinaryQueryExpression)q).FirstQueryExpression;
                else { ResultColumns.Add(List(((QuerySpecification)q).SelectElements.Select(Result))); break; }
            }
        }

        static string Result(SelectElement element)
        {
            var scalar = element as SelectScalarExpression;
            if (scalar == null) return element is SelectStarExpression ? Text("*") : "null";
            if (scalar.ColumnName != null) return Text(scalar.ColumnName.Value);
            var column = scalar.Expression as ColumnReferenceExpression;
            return column == null || column.MultiPartIdentifier == null ? "null" : Text(Parts(column.MultiPartIdentifier).Last());
        }

        public override void Visit(ExecuteStatement node)
        {
            var procedure = node.ExecuteSpecification.ExecutableEntity as ExecutableProcedureReference;
            var named = procedure == null || procedure.ProcedureReference == null ? null : procedure.ProcedureReference.ProcedureReference;
            string[] name = named == null || named.Name == null ? new string[0] : Parts(named.Name).ToArray();
            Procedures.Add(Texts(name));
            if (node.ExecuteSpecification.LinkedServer != null || name.Length == 0
                || !Readers.Contains(name.Last(), StringComparer.OrdinalIgnoreCase))
                Refused.Add("ExecuteStatement of " + (name.Length == 0 ? "something without a name" : string.Join(".", name)));
        }

        public override void Visit(DataModificationSpecification node) { Refused.Add(node.GetType().Name); }
        public override void Visit(OpenRowsetTableReference node) { Refused.Add(node.GetType().Name); }
        public override void Visit(OpenQueryTableReference node) { Refused.Add(node.GetType().Name); }
        public override void Visit(AdHocTableReference node) { Refused.Add(node.GetType().Name); }

        public override void Visit(NamedTableReference node) { Object(node.SchemaObject, node.Alias, "table"); }
        public override void Visit(SchemaObjectFunctionTableReference node) { Object(node.SchemaObject, node.Alias, "function"); }

        public override void Visit(GlobalFunctionTableReference node)
        {
            Functions.Add("{\"name\":" + Texts(new[] { node.Name.Value }) + ",\"arguments\":" + Arguments(node.Parameters) + "}");
            if (node.Alias != null) Derived.Add(node.Alias.Value);
        }

        public override void Visit(FunctionCall node)
        {
            var target = node.CallTarget as MultiPartIdentifierCallTarget;
            var name = (target == null ? new string[0] : Parts(target.MultiPartIdentifier)).Concat(new[] { node.FunctionName.Value });
            Functions.Add("{\"name\":" + Texts(name) + ",\"arguments\":" + Arguments(node.Parameters) + "}");
        }

        public override void Visit(GlobalVariableExpression node)
        {
            Functions.Add("{\"name\":" + Texts(new[] { node.Name }) + ",\"arguments\":[]}");
        }

        public override void Visit(ColumnReferenceExpression node)
        {
            if (node.MultiPartIdentifier != null) Columns.Add(Texts(Parts(node.MultiPartIdentifier)));
        }

        public override void Visit(CommonTableExpression node)
        {
            Ctes.Add(node.ExpressionName.Value);
            ColumnAliases.AddRange(node.Columns.Select(c => c.Value));
        }

        public override void Visit(QueryDerivedTable node)
        {
            if (node.Alias != null) Derived.Add(node.Alias.Value);
            ColumnAliases.AddRange(node.Columns.Select(c => c.Value));
        }

        public override void Visit(InlineDerivedTable node)
        {
            if (node.Alias != null) Derived.Add(node.Alias.Value);
            ColumnAliases.AddRange(node.Columns.Select(c => c.Value));
        }

        public override void Visit(SelectScalarExpression node)
        {
            if (node.ColumnName != null) ColumnAliases.Add(node.ColumnName.Value);
        }
    }
}
